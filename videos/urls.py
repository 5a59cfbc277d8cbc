"""Addresses of the library, the video pages and the upload page."""

from __future__ import annotations

from django.urls import path

from videos import assets_views, preset_views, views

urlpatterns = [
    path("videos/", views.library, name="library"),
    path("videos/<str:video_id>/", views.video, name="video"),
    path("videos/<str:video_id>/tile/", views.video_tile, name="video-tile"),
    path("videos/<str:video_id>/rename/", views.video_rename, name="video-rename"),
    path("videos/<str:video_id>/delete/", views.video_delete, name="video-delete"),
    path("presets/", preset_views.presets, name="presets"),
    path("presets/new/", preset_views.preset_new, name="preset-new"),
    path("presets/<str:preset_id>/", preset_views.preset_change, name="preset-change"),
    path("presets/<str:preset_id>/delete/", preset_views.preset_delete, name="preset-delete"),
    path("files/", assets_views.assets, name="assets"),
    path("files/<str:asset_id>/delete/", assets_views.asset_delete, name="asset-delete"),
    path("upload/", views.upload, name="upload"),
    path("upload/<str:upload_id>/discard/", views.upload_discard, name="upload-discard"),
]
