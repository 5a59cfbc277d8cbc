"""Addresses of the library, the video pages and the upload page."""

from __future__ import annotations

from django.urls import path

from videos import assets_views, preset_views, share_views, share_visitors, trash_views, upload_views, views

urlpatterns = [
    path("videos/", views.library, name="library"),
    path("videos/<str:video_id>/", views.video, name="video"),
    path("videos/<str:video_id>/tile/", views.video_tile, name="video-tile"),
    path("videos/<str:video_id>/rename/", views.video_rename, name="video-rename"),
    path("videos/<str:video_id>/delete/", views.video_delete, name="video-delete"),
    path("videos/<str:video_id>/shares/", share_views.video_shares, name="video-shares"),
    path("selection/", views.selection, name="library-selection"),
    path("shares/", share_views.shares, name="shares"),
    path("shares/<str:share_id>/", share_views.share, name="share"),
    path("shares/<str:share_id>/revoke/", share_views.share_revoke, name="share-revoke"),
    path("shares/<str:share_id>/delete/", share_views.share_delete, name="share-delete"),
    path("storage/", views.storage, name="storage"),
    path("trash/", trash_views.trash, name="trash"),
    path("trash/restore/", trash_views.trash_restore, name="trash-restore"),
    path("trash/delete/", trash_views.trash_delete, name="trash-delete"),
    path("trash/empty/", trash_views.trash_empty, name="trash-empty"),
    # For people without an account, by an address that somebody gave them.
    path("s/<str:token>/", share_visitors.share_page, name="share-page"),
    path("s/<str:token>/media", share_visitors.share_media, name="share-media"),
    path("s/<str:token>/files/<str:name>", share_visitors.share_member, name="share-member"),
    path("s/<str:token>/poster", share_visitors.share_poster, name="share-poster"),
    path("s/<str:token>/download", share_visitors.share_download, name="share-download"),
    path("s/<str:token>/file", share_visitors.share_file, name="share-file"),
    path("presets/", preset_views.presets, name="presets"),
    path("presets/new/", preset_views.preset_new, name="preset-new"),
    path("presets/<str:preset_id>/", preset_views.preset_change, name="preset-change"),
    path("presets/<str:preset_id>/delete/", preset_views.preset_delete, name="preset-delete"),
    path("files/", assets_views.assets, name="assets"),
    path("files/<str:asset_id>/delete/", assets_views.asset_delete, name="asset-delete"),
    path("upload/", upload_views.upload, name="upload"),
    path("upload/import/", upload_views.import_new, name="import-new"),
    path("upload/imports/", upload_views.imports, name="imports"),
    path("upload/imports/<str:import_id>/retry/", upload_views.import_again, name="import-again"),
    path("upload/<str:upload_id>/discard/", upload_views.upload_discard, name="upload-discard"),
]
