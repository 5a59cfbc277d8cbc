"""How a request of the API shows who is asking: a token in the header, or the browser's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from users.headers import token_from_authorization
from users.models import ApiToken, User
from users.selectors import user_by_token

if TYPE_CHECKING:
    # At run time this would be a circle: the views' defaults name the classes here.
    from rest_framework.views import APIView

CHALLENGE = "Bearer"


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <token>`, also `Token <token>`; the scheme in any case."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        token = token_from_authorization(header)
        if token is None:
            return None
        found = user_by_token(token)
        if found is None:
            raise exceptions.AuthenticationFailed
        return found

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """The site's own cookie, with CSRF. Without any credentials the answer is 401, as for tokens."""

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class TokenScopePermission(permissions.BasePermission):
    """A read-only token may look at everything its owner sees, and change nothing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        return (
            not isinstance(token, ApiToken)
            or token.scope == ApiToken.Scope.WRITE
            or request.method in permissions.SAFE_METHODS
        )


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself, untyped
    target_class = "users.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself, untyped
    target_class = "users.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
