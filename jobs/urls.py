"""Addresses of the start page, jobs and operations."""

from __future__ import annotations

from django.urls import path

from jobs import queue_views, statistics_views, views, webhooks_views

urlpatterns = [
    path("", views.home, name="home"),
    path("running/", views.running, name="running"),
    path("sample/", views.sample, name="sample"),
    path("jobs/", views.jobs, name="jobs"),
    path("jobs/cancel/", views.jobs_cancel, name="jobs-cancel"),
    path("queue/", queue_views.queue, name="queue"),
    path("queue/<str:job_id>/", queue_views.queue_move, name="queue-move"),
    path("jobs/<str:job_id>/", views.job, name="job"),
    path("jobs/<str:job_id>/row/", views.job_row, name="job-row"),
    path("jobs/<str:job_id>/log/", views.job_log, name="job-log"),
    path("jobs/<str:job_id>/cancel/", views.job_cancel, name="job-cancel"),
    path("jobs/<str:job_id>/pause/", views.job_pause, name="job-pause"),
    path("jobs/<str:job_id>/resume/", views.job_resume, name="job-resume"),
    path("jobs/<str:job_id>/bump/", views.job_bump, name="job-bump"),
    path("jobs/<str:job_id>/retry/", views.job_retry, name="job-retry"),
    path("jobs/<str:job_id>/fix/", views.job_fix, name="job-fix"),
    path("statistics/", statistics_views.statistics_page, name="statistics"),
    path("statistics/live/", statistics_views.statistics_live, name="statistics-live"),
    path("account/webhooks/", webhooks_views.webhooks, name="webhooks"),
    path("account/webhooks/<str:webhook_id>/", webhooks_views.webhook, name="webhook"),
    path("account/webhooks/<str:webhook_id>/rotate/", webhooks_views.webhook_rotate, name="webhook-rotate"),
    path("account/webhooks/<str:webhook_id>/test/", webhooks_views.webhook_test, name="webhook-test"),
    path("account/webhooks/<str:webhook_id>/switch/", webhooks_views.webhook_switch, name="webhook-switch"),
    path("account/webhooks/<str:webhook_id>/delete/", webhooks_views.webhook_delete, name="webhook-delete"),
    path(
        "account/webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/",
        webhooks_views.delivery,
        name="webhook-delivery",
    ),
    path(
        "account/webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/resend/",
        webhooks_views.delivery_resend,
        name="webhook-resend",
    ),
    path("operations/<str:operation_id>/card/", views.operation_card, name="operation-card"),
    path("videos/<str:video_id>/presets/", views.preset_start, name="preset-start"),
    path("videos/<str:video_id>/presets/plan/", views.preset_plan, name="preset-plan"),
    path("videos/<str:video_id>/operations/<str:type_>/preset/", views.preset_draft, name="preset-draft"),
    path("videos/<str:video_id>/operations/<str:type_>/", views.operation_create, name="operation-create"),
    path("videos/<str:video_id>/operations/<str:type_>/plan/", views.operation_plan, name="operation-plan"),
]
