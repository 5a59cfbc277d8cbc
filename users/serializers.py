"""Accounts, tokens and sessions as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from users.models import ApiToken, User
from users.passwords import MAXIMUM_LENGTH
from users.services import TOKEN_LIFETIME_MAX


class UserSerializer(serializers.ModelSerializer[User]):
    tier = serializers.CharField(source="tier_id", read_only=True)
    created_at = serializers.DateTimeField(source="date_joined", read_only=True)

    class Meta:
        model = User
        fields: tuple[str, ...] = ("id", "username", "email", "tier", "is_staff", "created_at", "updated_at")
        read_only_fields: tuple[str, ...] = fields


class RegisterSerializer(serializers.Serializer[Any]):
    """Shape only: whether a name may be used is the service's business."""

    username = serializers.CharField(max_length=150)
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=MAXIMUM_LENGTH, trim_whitespace=False, write_only=True)


class UserUpdateSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150, required=False)
    email = serializers.CharField(max_length=254, required=False)


class LoginSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=254, help_text="User name or e-mail address")
    password = serializers.CharField(trim_whitespace=False, write_only=True)


class LoginResultSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    user = UserSerializer()


class PasswordChangeSerializer(serializers.Serializer[Any]):
    current_password = serializers.CharField(trim_whitespace=False, write_only=True)
    new_password = serializers.CharField(max_length=MAXIMUM_LENGTH, trim_whitespace=False, write_only=True)


class TokenCreateSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices, default=ApiToken.Scope.WRITE)
    expires_in_days = serializers.IntegerField(min_value=1, max_value=TOKEN_LIFETIME_MAX.days, default=90)


class TokenCreatedSerializer(serializers.ModelSerializer[ApiToken]):
    """A fresh token; its text comes in the context, because the row does not have it."""

    id = serializers.CharField(source="public_id")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry")
    token = serializers.SerializerMethodField(help_text="Shown this once")

    class Meta:
        model = ApiToken
        fields = ("id", "name", "scope", "created_at", "expires_at", "token")

    def get_token(self, _token: ApiToken) -> str:
        return str(self.context["text"])


class SessionSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=["browser", "token"])
    name = serializers.CharField(help_text="The token's name, or the browser's user agent")
    scope = serializers.CharField()
    ip = serializers.IPAddressField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    current = serializers.BooleanField()
