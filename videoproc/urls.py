"""All addresses of the web process. Uploads, static files, media bytes and Flower are the edge's."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from videoproc.health import healthz
from videoproc.staff_gate import staff_gate

urlpatterns = [
    path("", include("jobs.urls")),
    path("", include("videos.urls")),
    path("", include("users.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/", include("users.api_urls")),
    path("api/v1/", include("videos.api_urls")),
    path("api/v1/", include("jobs.api_urls")),
    path("healthz", healthz, name="healthz"),
    path("internal/staff", staff_gate, name="staff-gate"),
]

handler400 = "videoproc.problem_responses.bad_request"
handler403 = "videoproc.problem_responses.permission_denied"
handler404 = "videoproc.problem_responses.not_found"
handler500 = "videoproc.problem_responses.server_error"

admin.site.site_header = "Videoproc"
admin.site.site_title = "Videoproc admin"
admin.site.index_title = "Administration"
