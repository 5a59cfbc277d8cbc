"""Addresses of the account page. Sign-in, sign-up and password reset are allauth's, below `accounts/`."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from users import views

_to_account = RedirectView.as_view(pattern_name="account")

urlpatterns = [
    path("account/", views.account, name="account"),
    path("account/profile/", views.profile_update, name="account-profile"),
    path("account/password/", views.password_update, name="account-password"),
    path("account/tokens/", views.token_create, name="account-token-create"),
    path("account/sessions/end-all/", views.sessions_end_all, name="account-sessions-end"),
    path("account/sessions/<str:session_id>/end/", views.session_end, name="account-session-end"),
    path("account/delete/", views.account_delete, name="account-delete"),
    # The account page does these itself; allauth's own pages for them would be a second way.
    path("accounts/email/", _to_account),
    path("accounts/password/change/", _to_account),
    path("accounts/password/set/", _to_account),
]
