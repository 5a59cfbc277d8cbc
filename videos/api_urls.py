from __future__ import annotations

from django.urls import path

from videos import api, assets_api, imports_api, preset_api, share_api

urlpatterns = [
    path("archive", api.ArchiveView.as_view(), name="api-archive"),
    path("assets", assets_api.AssetsView.as_view(), name="api-assets"),
    path("assets/<str:asset_id>", assets_api.AssetView.as_view(), name="api-asset"),
    path("assets/<str:asset_id>/file", assets_api.AssetFileView.as_view(), name="api-asset-file"),
    path("imports", imports_api.ImportsView.as_view(), name="api-imports"),
    path("imports/<str:import_id>", imports_api.ImportView.as_view(), name="api-import"),
    path("imports/<str:import_id>/retry", imports_api.ImportRetryView.as_view(), name="api-import-retry"),
    path("me", api.MeView.as_view(), name="api-me"),
    path("me/statistics", api.MeStatisticsView.as_view(), name="api-me-statistics"),
    path("me/storage", api.MeStorageView.as_view(), name="api-me-storage"),
    path("operations", api.CatalogueView.as_view(), name="api-catalogue"),
    path("outputs/<str:output_id>/file", api.OutputFileView.as_view(), name="api-output-file"),
    path(
        "outputs/<str:output_id>/files/<str:name>", api.OutputMemberView.as_view(), name="api-output-member"
    ),
    path("presets", preset_api.PresetsView.as_view(), name="api-presets"),
    path("presets/<str:preset_id>", preset_api.PresetView.as_view(), name="api-preset"),
    path("shares", share_api.SharesView.as_view(), name="api-shares"),
    path("shares/<str:share_id>", share_api.ShareView.as_view(), name="api-share"),
    path("shares/<str:share_id>/revoke", share_api.ShareRevokeView.as_view(), name="api-share-revoke"),
    path("shares/<str:share_id>/visits", share_api.ShareVisitsView.as_view(), name="api-share-visits"),
    path("users/<str:user_id>/statistics", api.UserStatisticsView.as_view(), name="api-user-statistics"),
    path("videos", api.VideosView.as_view(), name="api-videos"),
    path("videos/counts", api.VideoCountsView.as_view(), name="api-videos-counts"),
    path("videos/import", imports_api.VideoImportView.as_view(), name="api-video-import"),
    path("videos/<str:video_id>", api.VideoView.as_view(), name="api-video"),
    path("videos/<str:video_id>/archive", api.VideoArchiveView.as_view(), name="api-video-archive"),
    path("videos/<str:video_id>/restore", api.VideoRestoreView.as_view(), name="api-video-restore"),
    path("videos/<str:video_id>/shares", share_api.VideoSharesView.as_view(), name="api-video-shares"),
    path("videos/<str:video_id>/file", api.VideoFileView.as_view(), name="api-video-file"),
    path("videos/<str:video_id>/thumbnail", api.VideoThumbnailView.as_view(), name="api-video-thumbnail"),
]
