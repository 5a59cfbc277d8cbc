from __future__ import annotations

from django.urls import path

from jobs import api, retention_api, statistics_api, webhooks_api

urlpatterns = [
    path("videos/<str:video_id>/operations", api.VideoOperationsView.as_view(), name="api-video-operations"),
    path("operations/<str:operation_id>", api.OperationView.as_view(), name="api-operation"),
    path("jobs", api.JobsView.as_view(), name="api-jobs"),
    path("queue", api.QueueView.as_view(), name="api-queue"),
    path("jobs/cancel", api.JobsCancelView.as_view(), name="api-jobs-cancel"),
    path("jobs/<str:job_id>", api.JobView.as_view(), name="api-job"),
    path("jobs/<str:job_id>/log", api.JobLogView.as_view(), name="api-job-log"),
    path("jobs/<str:job_id>/cancel", api.JobCancelView.as_view(), name="api-job-cancel"),
    path("jobs/<str:job_id>/pause", api.JobPauseView.as_view(), name="api-job-pause"),
    path("jobs/<str:job_id>/resume", api.JobResumeView.as_view(), name="api-job-resume"),
    path("jobs/<str:job_id>/bump", api.JobBumpView.as_view(), name="api-job-bump"),
    path("jobs/<str:job_id>/move", api.JobMoveView.as_view(), name="api-job-move"),
    path("jobs/<str:job_id>/retry", api.JobRetryView.as_view(), name="api-job-retry"),
    path("me/retention", retention_api.MeRetentionView.as_view(), name="api-me-retention"),
    path("stats/jobs", statistics_api.JobStatisticsView.as_view(), name="api-stats-jobs"),
    path("stats/jobs/by-type", statistics_api.TypeStatisticsView.as_view(), name="api-stats-by-type"),
    path("stats/jobs/timeline", statistics_api.TimelineView.as_view(), name="api-stats-timeline"),
    path("stats/jobs/slow", statistics_api.SlowJobsView.as_view(), name="api-stats-slow"),
    path("stats/jobs/failures", statistics_api.FailedJobsView.as_view(), name="api-stats-failures"),
    path("stats/videos/<str:video_id>", statistics_api.VideoStatisticsView.as_view(), name="api-stats-video"),
    path("webhooks", webhooks_api.WebhooksView.as_view(), name="api-webhooks"),
    path("webhooks/<str:webhook_id>", webhooks_api.WebhookView.as_view(), name="api-webhook"),
    path(
        "webhooks/<str:webhook_id>/rotate",
        webhooks_api.WebhookRotateView.as_view(),
        name="api-webhook-rotate",
    ),
    path("webhooks/<str:webhook_id>/test", webhooks_api.WebhookTestView.as_view(), name="api-webhook-test"),
    path(
        "webhooks/<str:webhook_id>/deliveries",
        webhooks_api.DeliveriesView.as_view(),
        name="api-webhook-deliveries",
    ),
    path(
        "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/redeliver",
        webhooks_api.RedeliverView.as_view(),
        name="api-webhook-redeliver",
    ),
    path("ws-ticket", api.SocketTicketView.as_view(), name="api-ws-ticket"),
]
