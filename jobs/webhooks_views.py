"""The pages of webhooks, below the account page. They need no script."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from jobs.webhook_models import Webhook
from jobs.webhooks import selectors, services
from jobs.webhooks_forms import WebhookForm
from problems import Problem
from users.form_problems import problem_show
from users.models import User
from users.viewer import viewer_of
from videos.paging import page_of

PAGE_SIZE = 25


def _list(request: HttpRequest, form: WebhookForm | None = None) -> HttpResponse:
    viewer = viewer_of(request)
    context = {
        "page": page_of(selectors.webhooks_for(viewer), request.GET, size=PAGE_SIZE),
        "form": form or WebhookForm(viewer=viewer),
    }
    return render(request, "jobs/webhooks.html", context)


@sensitive_variables("secret")
def _one(
    request: HttpRequest, webhook: Webhook, *, form: WebhookForm | None = None, secret: str = ""
) -> HttpResponse:
    log = selectors.deliveries_of(webhook).defer("body")
    context = {
        "webhook": webhook,
        "form": form or _form_of(webhook, viewer_of(request)),
        "page": page_of(log, request.GET, size=PAGE_SIZE),
        "secret": secret,
    }
    return render(request, "jobs/webhook.html", context)


def _form_of(webhook: Webhook, viewer: User) -> WebhookForm:
    initial = {"url": webhook.url, "description": webhook.description, "events": webhook.events}
    return WebhookForm(initial=initial, viewer=viewer, new=False)


@login_required
@never_cache
def webhooks(request: HttpRequest) -> HttpResponse:
    """The list, and the form of a new one, which shows its secret this once."""
    if request.method != "POST":
        return _list(request)
    viewer = viewer_of(request)
    form = WebhookForm(request.POST, viewer=viewer)
    if form.is_valid():
        try:
            made = services.webhook_create(viewer=viewer, **form.cleaned_data)
        except Problem as problem:
            problem_show(form, problem)
        else:
            return _one(request, made, secret=made.secret)
    return _list(request, form)


@login_required
@never_cache
def webhook(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """One webhook with its log; a POST changes it."""
    viewer = viewer_of(request)
    found = selectors.webhook_get_for(viewer, webhook_id)
    if request.method != "POST":
        return _one(request, found)
    form = WebhookForm(request.POST, viewer=viewer, new=False)
    if form.is_valid():
        try:
            services.webhook_update(viewer=viewer, webhook=found, **form.cleaned_data)
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The webhook is saved.")
            return redirect("webhook", found.id)
    return _one(request, found, form=form)


@login_required
@never_cache
@require_POST
def webhook_rotate(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """Make a new secret and show it this once."""
    changed = services.webhook_rotate(webhook=selectors.webhook_get_for(viewer_of(request), webhook_id))
    return _one(request, changed, secret=changed.secret)


@login_required
@require_POST
def webhook_test(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """Send a ping."""
    found = selectors.webhook_get_for(viewer_of(request), webhook_id)
    services.webhook_ping(webhook=found)
    messages.success(request, "A test message is on its way. Reload the page to see how it went.")
    return redirect("webhook", found.id)


@login_required
@require_POST
def webhook_switch(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """Switch it on or off."""
    viewer = viewer_of(request)
    found = selectors.webhook_get_for(viewer, webhook_id)
    on = request.POST.get("enabled") == "true"
    services.webhook_update(viewer=viewer, webhook=found, enabled=on)
    messages.success(request, f"The webhook is switched {'on' if on else 'off'}.")
    return redirect("webhook", found.id)


@login_required
@require_POST
def webhook_delete(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """Remove it with its log."""
    services.webhook_delete(webhook=selectors.webhook_get_for(viewer_of(request), webhook_id))
    messages.success(request, "The webhook is deleted.")
    return redirect("webhooks")


@login_required
@never_cache
@require_safe
def delivery(request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
    """One message: what is sent and how the last try went."""
    found = selectors.webhook_get_for(viewer_of(request), webhook_id)
    message = selectors.delivery_get_of(found, delivery_id)
    return render(request, "jobs/webhook_delivery.html", {"webhook": found, "delivery": message})


@login_required
@require_POST
def delivery_resend(request: HttpRequest, webhook_id: str, delivery_id: str) -> HttpResponse:
    """Send a message again."""
    found = selectors.webhook_get_for(viewer_of(request), webhook_id)
    services.delivery_resend(delivery=selectors.delivery_get_of(found, delivery_id))
    messages.success(request, "It is sent again. Reload the page to see how it went.")
    return redirect("webhook", found.id)
