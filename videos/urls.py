"""Addresses of the library, the video pages and the upload page."""

from __future__ import annotations

from django.urls import path

from videos import preset_views, upload_views, views

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
    path("upload/", upload_views.upload, name="upload"),
    path("upload/import/", upload_views.import_new, name="import-new"),
    path("upload/imports/", upload_views.imports, name="imports"),
    path("upload/imports/<str:import_id>/retry/", upload_views.import_again, name="import-again"),
    path("upload/<str:upload_id>/discard/", upload_views.upload_discard, name="upload-discard"),
]
