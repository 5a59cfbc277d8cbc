from __future__ import annotations

from django.urls import path

from users import api

urlpatterns = [
    path("auth/register", api.RegisterView.as_view(), name="api-register"),
    path("auth/login", api.LoginView.as_view(), name="api-login"),
    path("auth/logout", api.LogoutView.as_view(), name="api-logout"),
    path("auth/logout-all", api.LogoutAllView.as_view(), name="api-logout-all"),
    path("me/password", api.PasswordView.as_view(), name="api-password"),
    path("sessions", api.SessionsView.as_view(), name="api-sessions"),
    path("sessions/<str:session_id>", api.SessionView.as_view(), name="api-session"),
    path("sessions/<str:session_id>/extend", api.SessionExtendView.as_view(), name="api-session-extend"),
    path("users", api.UsersView.as_view(), name="api-users"),
    path("users/<str:user_id>", api.UserView.as_view(), name="api-user"),
    path("tokens", api.TokensView.as_view(), name="api-tokens"),
]
