"""Endpoints of presets."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from problems import Problem
from users.viewer import viewer_of
from videos.models import Preset
from videos.preset_selectors import preset_get_for, preset_own_get_for, presets_for
from videos.services.presets import preset_create, preset_delete, preset_update


class PresetSerializer(serializers.ModelSerializer[Preset]):
    site = serializers.SerializerMethodField(help_text="Whether it is the site's, which you can only use")

    class Meta:
        model = Preset
        fields: ClassVar = [
            "id", "name", "description", "purpose", "type", "parameters", "site", "enabled",
            "created_at", "updated_at",
        ]  # fmt: skip

    def get_site(self, preset: Preset) -> bool:
        return preset.owner_id is None


class PresetCreateSerializer(serializers.Serializer[Any]):
    """Unknown keys are refused: a misspelt one would be ignored in silence."""

    name = serializers.CharField(max_length=80, help_text="Yours have different names, in any case")
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    purpose = serializers.ChoiceField(choices=Preset.Purpose.choices, required=False)
    type = serializers.CharField(max_length=32, help_text="See GET /api/v1/operations")
    parameters = serializers.DictField(required=False, default=dict, help_text="Those of the operation")
    enabled = serializers.BooleanField(required=False, help_text="Otherwise it cannot be used")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such key."), code="unknown")
        return attrs


class PresetUpdateSerializer(PresetCreateSerializer):
    """Only what is named is changed."""

    name = serializers.CharField(max_length=80, required=False)
    type = serializers.CharField(max_length=32, required=False)
    parameters = serializers.DictField(required=False)


class PresetsView(generics.ListAPIView[Preset]):
    """Your presets and those of the site, newest first."""

    queryset = Preset.objects.none()  # for the schema; each viewer has another one
    serializer_class = PresetSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Preset]:
        return presets_for(viewer_of(self.request))

    @extend_schema(operation_id="list_presets")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_preset", request=PresetCreateSerializer, responses={201: PresetSerializer}
    )
    def post(self, request: Request) -> Response:
        """Keep an operation with its parameters under a name."""
        body = _body(request, PresetCreateSerializer)
        made = preset_create(owner=viewer_of(request), **body)
        return Response(PresetSerializer(made).data, status=status.HTTP_201_CREATED)


class PresetView(APIView):
    @extend_schema(operation_id="get_preset", responses=PresetSerializer)
    def get(self, request: Request, preset_id: str) -> Response:
        return Response(PresetSerializer(preset_get_for(viewer_of(request), preset_id)).data)

    @extend_schema(operation_id="update_preset", request=PresetUpdateSerializer, responses=PresetSerializer)
    def patch(self, request: Request, preset_id: str) -> Response:
        """Change one of yours. Those of the site are an administrator's to change."""
        body = _body(request, PresetUpdateSerializer)
        preset = preset_own_get_for(viewer_of(request), preset_id)
        return Response(PresetSerializer(preset_update(preset=preset, **body)).data)

    @extend_schema(operation_id="delete_preset", responses={204: OpenApiResponse(description="It is gone.")})
    def delete(self, request: Request, preset_id: str) -> Response:
        """Delete one of yours. What was made with it stays."""
        preset_delete(preset=preset_own_get_for(viewer_of(request), preset_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _body(request: Request, form: type[PresetCreateSerializer]) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Problem("malformed_body", reason="a JSON object is expected")
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    found: dict[str, Any] = body.validated_data
    return found
