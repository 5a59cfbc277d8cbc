"""Endpoints of small files. Sending one is not here: the edge gives it to the process that takes bytes."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from problems import Problem
from users.viewer import viewer_of
from videos import selectors
from videos.delivery import asset_delivery
from videos.models import Asset
from videos.serializers import AssetSerializer
from videos.services.assets import asset_delete

_UPLOAD = {
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    },
    "application/octet-stream": {"type": "string", "format": "binary"},
}
_FILE = {(200, "application/octet-stream"): OpenApiTypes.BINARY}


@extend_schema_view(get=extend_schema(operation_id="list_assets", summary="Small files, newest first"))
class AssetsView(generics.ListAPIView[Asset]):
    queryset = Asset.objects.none()  # for the schema, which is made without a viewer
    serializer_class = AssetSerializer

    def get_queryset(self) -> QuerySet[Asset]:
        return selectors.assets_for(viewer_of(self.request)).order_by("-id")

    @extend_schema(
        operation_id="create_asset",
        summary="Send a picture or subtitles",
        description="png, jpg or webp of at most 20 MiB; srt, vtt or ass of at most 5 MiB.",
        request=_UPLOAD,
        parameters=[OpenApiParameter("filename", str, description="Name of the file, for a raw body.")],
        responses={201: AssetSerializer},
    )
    def post(self, _request: Request) -> Response:
        """Only reached where the edge does not send uploads to the process that takes them."""
        raise Problem("service_unavailable")


class AssetView(APIView):
    @extend_schema(operation_id="get_asset", responses=AssetSerializer)
    def get(self, request: Request, asset_id: str) -> Response:
        asset = selectors.asset_get_for(viewer_of(request), asset_id)
        return Response(AssetSerializer(asset, context={"request": request}).data)

    @extend_schema(operation_id="delete_asset", responses={204: OpenApiResponse(description="It is gone.")})
    def delete(self, request: Request, asset_id: str) -> Response:
        asset_delete(asset=selectors.asset_get_for(viewer_of(request), asset_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AssetFileView(APIView):
    @extend_schema(operation_id="download_asset", responses=_FILE)
    def get(self, request: Request, asset_id: str) -> HttpResponse:
        """What was made of the file: a PNG, or plain SRT."""
        asset = selectors.asset_get_for(viewer_of(request), asset_id)
        return asset_delivery(asset).answer(str(request.method), request.headers)
