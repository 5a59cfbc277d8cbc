"""Endpoints of accounts: sign up, in and out; password; sessions and tokens.

`me` is an endpoint of the videos floor, because it tells how much storage is used.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import logout, update_session_auth_hash
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from problems import Problem
from users import selectors, services
from users.models import ApiToken, User
from users.permissions import SEES_USERS
from users.serializers import (
    LoginResultSerializer,
    LoginSerializer,
    PasswordChangeSerializer,
    RegisterSerializer,
    SessionSerializer,
    TokenCreatedSerializer,
    TokenCreateSerializer,
    UserSerializer,
)
from users.viewer import viewer_of

# No cache keeps such an answer, and neither does the store of replies to repeated requests.
SECRET = {"Cache-Control": "no-store"}
NO_CONTENT = {204: OpenApiResponse(description="Done.")}


class RegisterView(APIView):
    permission_classes = (AllowAny,)
    authentication_classes = ()
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "register"

    @extend_schema(
        operation_id="register", request=RegisterSerializer, responses={201: UserSerializer}, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Make an account."""
        form = RegisterSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user = services.user_register(**form.validated_data)
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)


class LoginView(APIView):
    permission_classes = (AllowAny,)
    authentication_classes = ()
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(operation_id="login", request=LoginSerializer, responses=LoginResultSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Exchange a name (or address) and password for a token of 7 days."""
        form = LoginSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user = selectors.user_by_credentials(
            login=form.validated_data["username"], password=form.validated_data["password"]
        )
        if user is None:
            raise Problem("invalid_credentials")
        token, text = services.token_create(
            user=user, name=services.LOGIN_TOKEN_NAME, lifetime=services.LOGIN_TOKEN_LIFETIME
        )
        data = LoginResultSerializer({"token": text, "expires_at": token.expiry, "user": user}).data
        return Response(data, headers=SECRET)


class LogoutView(APIView):
    @extend_schema(operation_id="logout", request=None, responses=NO_CONTENT)
    def post(self, request: Request) -> Response:
        """End the token or the browser session that this request came with."""
        if isinstance(request.auth, ApiToken):
            services.token_revoke(token=request.auth)
        else:
            logout(request._request)  # noqa: SLF001 - Django's session hangs on Django's request
        return Response(status=status.HTTP_204_NO_CONTENT)


class LogoutAllView(APIView):
    @extend_schema(operation_id="logout_all", request=None, responses=NO_CONTENT)
    def post(self, request: Request) -> Response:
        """End every browser session and token of the account, this one included."""
        services.sessions_end_all(user=viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordView(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(operation_id="change_password", request=PasswordChangeSerializer, responses=NO_CONTENT)
    def post(self, request: Request) -> Response:
        """Set a new password. Every other session and token ends."""
        form = PasswordChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user, token = viewer_of(request), _token(request)
        services.password_change(
            user=user,
            current_password=form.validated_data["current_password"],
            new_password=form.validated_data["new_password"],
            keep_session_key=None if token else _session_key(request),
            keep_token=token,
        )
        if token is None:
            update_session_auth_hash(request._request, user)  # noqa: SLF001 - it reads Django's session
        return Response(status=status.HTTP_204_NO_CONTENT)


class UsersView(generics.ListAPIView[User]):
    queryset = User.objects.none()  # for the schema
    serializer_class = UserSerializer
    permission_classes = SEES_USERS
    filter_backends = ()

    def get_queryset(self) -> QuerySet[User]:
        return selectors.users_matching(self.request.query_params.get("search", ""))

    @extend_schema(
        operation_id="list_users",
        parameters=[OpenApiParameter("search", str, description="Words of the name or address.")],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Accounts, newest first. For staff who may see accounts."""
        return super().get(request, *args, **kwargs)


class UserView(APIView):
    permission_classes = SEES_USERS

    @extend_schema(operation_id="get_user", responses=UserSerializer)
    def get(self, _request: Request, user_id: str) -> Response:
        """One account, by its id, its name or its address. For staff who may see accounts."""
        found = selectors.user_find(user_id) or selectors.user_get(user_id)
        return Response(UserSerializer(found).data)


class SessionsView(APIView):
    @extend_schema(operation_id="list_sessions", responses=SessionSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Browser sessions and tokens that are open now, newest first."""
        found = selectors.sessions_for(
            viewer_of(request), current_session_key=_session_key(request), current_token=_token(request)
        )
        data = SessionSerializer(found, many=True).data
        return Response({"data": data, "next": None, "previous": None})


class SessionView(APIView):
    @extend_schema(operation_id="end_session", responses=NO_CONTENT)
    def delete(self, request: Request, session_id: str) -> Response:
        """End one browser session (`ses_…`) or token (`tok_…`)."""
        services.session_end(user=viewer_of(request), session_id=session_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SessionExtendView(APIView):
    @extend_schema(operation_id="extend_session", request=None, responses=SessionSerializer)
    def post(self, request: Request, session_id: str) -> Response:
        """Keep a browser session (`ses_…`) or token (`tok_…`) open for 7 days from now; never shorter."""
        user, key = viewer_of(request), _session_key(request)
        services.session_extend(user=user, session_id=session_id)
        if key is not None and selectors.browser_session_id(key) == session_id:
            request._request.session.modified = True  # noqa: SLF001 - so that its cookie is sent anew
        found = selectors.sessions_for(user, current_session_key=key, current_token=_token(request))
        session = next((session for session in found if session.id == session_id), None)
        if session is None:
            raise Problem("not_found")
        return Response(SessionSerializer(session).data)


class TokensView(APIView):
    @extend_schema(
        operation_id="create_token", request=TokenCreateSerializer, responses={201: TokenCreatedSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a named token for a program. Its text is in this answer and nowhere else."""
        form = TokenCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        token, text = services.token_create(
            user=viewer_of(request),
            name=form.validated_data["name"],
            scope=form.validated_data["scope"],
            lifetime=timedelta(days=form.validated_data["expires_in_days"]),
        )
        data = TokenCreatedSerializer(token, context={"text": text}).data
        return Response(data, status=status.HTTP_201_CREATED, headers=SECRET)


def _token(request: Request) -> ApiToken | None:
    return request.auth if isinstance(request.auth, ApiToken) else None


def _session_key(request: Request) -> str | None:
    if isinstance(request.auth, ApiToken):
        return None
    return request._request.session.session_key  # noqa: SLF001 - DRF has no name of its own for it
