from __future__ import annotations

from django.urls import path

from videos import api, assets_api, imports_api, preset_api

urlpatterns = [
    path("assets", assets_api.AssetsView.as_view(), name="api-assets"),
    path("assets/<str:asset_id>", assets_api.AssetView.as_view(), name="api-asset"),
    path("assets/<str:asset_id>/file", assets_api.AssetFileView.as_view(), name="api-asset-file"),
    path("imports", imports_api.ImportsView.as_view(), name="api-imports"),
    path("imports/<str:import_id>", imports_api.ImportView.as_view(), name="api-import"),
    path("imports/<str:import_id>/retry", imports_api.ImportRetryView.as_view(), name="api-import-retry"),
    path("me", api.MeView.as_view(), name="api-me"),
    path("me/statistics", api.MeStatisticsView.as_view(), name="api-me-statistics"),
    path("operations", api.CatalogueView.as_view(), name="api-catalogue"),
    path("outputs/<str:output_id>/file", api.OutputFileView.as_view(), name="api-output-file"),
    path(
        "outputs/<str:output_id>/files/<str:name>", api.OutputMemberView.as_view(), name="api-output-member"
    ),
    path("presets", preset_api.PresetsView.as_view(), name="api-presets"),
    path("presets/<str:preset_id>", preset_api.PresetView.as_view(), name="api-preset"),
    path("users/<str:user_id>/statistics", api.UserStatisticsView.as_view(), name="api-user-statistics"),
    path("videos", api.VideosView.as_view(), name="api-videos"),
    path("videos/counts", api.VideoCountsView.as_view(), name="api-videos-counts"),
    path("videos/import", imports_api.VideoImportView.as_view(), name="api-video-import"),
    path("videos/<str:video_id>", api.VideoView.as_view(), name="api-video"),
    path("videos/<str:video_id>/file", api.VideoFileView.as_view(), name="api-video-file"),
    path("videos/<str:video_id>/thumbnail", api.VideoThumbnailView.as_view(), name="api-video-thumbnail"),
]
