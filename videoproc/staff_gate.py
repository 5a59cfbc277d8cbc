"""Asked by the edge before it lets a request through to Flower."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from problems import Problem


@require_safe
def staff_gate(request: HttpRequest) -> HttpResponse:
    """204 for staff; the sign-in page for people without a session; 403 for everyone else."""
    if not request.user.is_authenticated:
        wanted = request.headers.get("X-Forwarded-Uri", "/flower/")
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': wanted})}")
    if not request.user.is_staff:
        raise Problem("permission_denied")
    return HttpResponse(status=204)
