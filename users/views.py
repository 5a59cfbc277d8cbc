"""The account page and what it can change.

A refused form comes back with status 200, as Django's own do: browsers report any other as a fault of
the page.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from problems import Problem
from users import selectors, services
from users.form_problems import problem_show
from users.forms import DeleteAccountForm, PasswordForm, ProfileForm, TokenForm
from users.models import User
from users.viewer import viewer_of


def _page(request: HttpRequest, *, template: str = "users/account.html", **forms: Any) -> HttpResponse:
    viewer = viewer_of(request)
    sessions = selectors.sessions_for(viewer, current_session_key=request.session.session_key)
    context = {
        "profile_form": ProfileForm(initial={"username": viewer.username, "email": viewer.email}),
        "password_form": PasswordForm(prefix="password"),
        "token_form": TokenForm(prefix="token"),
        "delete_form": DeleteAccountForm(user=viewer, prefix="delete"),
        "browsers": [session for session in sessions if session.kind == "browser"],
        "tokens": [session for session in sessions if session.kind == "token"],
        **forms,
    }
    return render(request, template, context)


@login_required
@never_cache
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Everything about the own account on one page."""
    return _page(request)


@login_required
@require_POST
def profile_update(request: HttpRequest) -> HttpResponse:
    """Change the name and the address."""
    form = ProfileForm(request.POST)
    if form.is_valid():
        try:
            # A copy, so that a refused name does not show in the page's head.
            services.user_update(user=User.objects.get(pk=viewer_of(request).pk), **form.cleaned_data)
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "Your profile is saved.")
            return redirect("account")
    return _page(request, profile_form=form)


@sensitive_post_parameters()
@login_required
@require_POST
def password_update(request: HttpRequest) -> HttpResponse:
    """Set a new password; this browser stays signed in."""
    form = PasswordForm(request.POST, prefix="password")
    viewer = viewer_of(request)
    if form.is_valid():
        try:
            services.password_change(
                user=viewer, keep_session_key=request.session.session_key, **form.cleaned_data
            )
        except Problem as problem:
            problem_show(form, problem)
        else:
            update_session_auth_hash(request, viewer)
            messages.success(request, "Your password is changed. Every other session was ended.")
            return redirect("account")
    return _page(request, password_form=form)


@login_required
@never_cache
@require_POST
def token_create(request: HttpRequest) -> HttpResponse:
    """Make an API token and show its text this once."""
    form = TokenForm(request.POST, prefix="token")
    template = "users/tokens.html" if request.headers.get("HX-Request") else "users/account.html"
    if form.is_valid():
        _, text = services.token_create(
            user=viewer_of(request),
            name=form.cleaned_data["name"],
            scope=form.cleaned_data["scope"],
            lifetime=form.lifetime,
        )
        return _page(request, template=template, new_token=text)
    return _page(request, template=template, token_form=form)


@login_required
@require_POST
def session_end(request: HttpRequest, session_id: str) -> HttpResponse:
    """End one browser session or API token."""
    services.session_end(user=viewer_of(request), session_id=session_id)
    messages.success(request, "It is ended and cannot be used any more.")
    return redirect("account")


@login_required
@require_POST
def sessions_end_all(request: HttpRequest) -> HttpResponse:
    """End every session and token except this browser's."""
    services.sessions_end_all(user=viewer_of(request), keep_session_key=request.session.session_key)
    messages.success(request, "Every other session and every API token is ended.")
    return redirect("account")


@sensitive_post_parameters()
@login_required
@require_POST
def account_delete(request: HttpRequest) -> HttpResponse:
    """Remove the account with everything in it."""
    viewer = viewer_of(request)
    form = DeleteAccountForm(request.POST, user=viewer, prefix="delete")
    if not form.is_valid():
        return _page(request, delete_form=form)
    services.user_delete(user=User.objects.get(pk=viewer.pk))
    logout(request)
    messages.success(request, "Your account and everything in it is deleted.")
    return redirect("home")
