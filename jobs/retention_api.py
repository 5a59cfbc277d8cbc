"""How long things stay, for programs that want to know beforehand."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.retention import rules_of
from jobs.site import site_settings
from users.viewer import viewer_of


class RetentionSerializer(serializers.Serializer[Any]):
    original_days = serializers.IntegerField(
        allow_null=True, help_text="Then a video moves to the trash with its results. Null: never."
    )
    result_days = serializers.IntegerField(
        allow_null=True, help_text="Then a result is removed; it can be asked for again. Null: never."
    )
    trash_days = serializers.IntegerField(help_text="Then what is in the trash is removed for good.")


class MeRetentionView(APIView):
    @extend_schema(operation_id="get_my_retention", responses=RetentionSerializer)
    def get(self, request: Request) -> Response:
        """For how many days the caller's videos and results are kept."""
        rules = rules_of(viewer_of(request).tier, site_settings())
        return Response(RetentionSerializer(rules).data)
