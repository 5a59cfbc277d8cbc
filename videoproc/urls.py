"""All addresses of the web process. Uploads, static files, media bytes and Flower are the edge's."""

from __future__ import annotations

from typing import NoReturn

from allauth.account.views import password_reset_from_key
from django.contrib import admin
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import include, path, re_path, reverse_lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from problems import Problem
from videoproc.health import healthz
from videoproc.metrics import metrics
from videoproc.staff_gate import staff_gate


def favicon(request: HttpRequest) -> HttpResponseRedirect:
    """Browsers ask for this address where no page tells them another, as when they show JSON."""
    return HttpResponseRedirect(staticfiles_storage.url("favicon.svg"))


def no_such_reset(request: HttpRequest, rest: str) -> NoReturn:
    """A reset link that names no account."""
    raise Problem("not_found")


# Our account page does these; allauth's own pages for them stay closed, their names resolve.
account_page = RedirectView.as_view(url=reverse_lazy("account"))

urlpatterns = [
    path("", include("jobs.urls")),
    path("", include("videos.urls")),
    path("", include("users.urls")),
    path("accounts/email/", account_page),
    path("accounts/password/change/", account_page),
    path("accounts/password/set/", account_page),
    # allauth's own pattern for these links has no room for the underscore of our ids.
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>usr_[0-9a-f]{32})-(?P<key>.+)/$",
        password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    re_path(r"^accounts/password/reset/key/(?P<rest>.+-.+)/$", no_such_reset),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/", include("users.api_urls")),
    path("api/v1/", include("videos.api_urls")),
    path("api/v1/", include("jobs.api_urls")),
    path("favicon.ico", favicon),
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("internal/staff", staff_gate, name="staff-gate"),
]

handler400 = "videoproc.problem_responses.bad_request"
handler403 = "videoproc.problem_responses.permission_denied"
handler404 = "videoproc.problem_responses.not_found"
handler500 = "videoproc.problem_responses.server_error"

admin.site.site_header = "Videoproc"
admin.site.site_title = "Videoproc admin"
admin.site.index_title = "Administration"
