"""Share links as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from videos.models import ShareLink, ShareVisit
from videos.services.shares import MOST_DOWNLOADS, PASSWORD_MAX, PASSWORD_MIN
from videos.share_selectors import share_url


class ShareSerializer(serializers.ModelSerializer[ShareLink]):
    url = serializers.SerializerMethodField(help_text="The address to hand on")
    video = serializers.CharField(source="video_id")
    output = serializers.CharField(
        source="output_id", allow_null=True, help_text="The result that is shared; null: the original"
    )
    state = serializers.ChoiceField(choices=ShareLink.State.choices, read_only=True)
    has_password = serializers.BooleanField()
    downloads_left = serializers.IntegerField(allow_null=True, help_text="Null: as many as are wanted")

    class Meta:
        model = ShareLink
        fields = (
            "id", "url", "state", "video", "output", "title", "has_password", "allow_download",
            "max_downloads", "downloads", "downloads_left", "views", "expires_at", "revoked_at", "created_at",
            "updated_at",
        )  # fmt: skip

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, share: ShareLink) -> str:
        return share_url(share)


class ShareUpdateSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(
        max_length=255, allow_blank=True, required=False, help_text="What visitors see, also as file name."
    )
    password = serializers.CharField(
        allow_blank=True,
        required=False,
        trim_whitespace=False,
        help_text=f"{PASSWORD_MIN} to {PASSWORD_MAX} characters; empty: none.",
    )
    allow_download = serializers.BooleanField(required=False)
    max_downloads = serializers.IntegerField(
        min_value=1, max_value=MOST_DOWNLOADS, allow_null=True, required=False
    )
    expires_at = serializers.DateTimeField(allow_null=True, required=False)


class ShareCreateSerializer(ShareUpdateSerializer):
    output = serializers.CharField(
        allow_blank=True, required=False, help_text="Id of a result of the video; without it the original."
    )


class ShareVisitSerializer(serializers.ModelSerializer[ShareVisit]):
    network = serializers.CharField(source="address", help_text="Of the visitor; not the whole address")

    class Meta:
        model = ShareVisit
        fields = ("at", "kind", "network", "agent")
