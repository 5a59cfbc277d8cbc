"""Endpoints of imports from web addresses. The uploads process fetches them."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from users.viewer import viewer_of
from videos import selectors
from videos.models import UrlImport
from videos.serializers import UrlImportRequestSerializer, UrlImportSerializer
from videos.services.uploads import upload_discard
from videos.services.url_imports import import_create, import_retry


class VideoImportView(APIView):
    @extend_schema(
        operation_id="import_video",
        summary="Fetch a video from a web address",
        description="Answers at once; GET the address in Location to see how it goes.",
        request=UrlImportRequestSerializer,
        responses={202: UrlImportSerializer},
    )
    def post(self, request: Request) -> Response:
        form = UrlImportRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        row = import_create(owner=viewer_of(request), **form.validated_data)
        headers = {"Location": f"/api/v1/imports/{row.pk}"}
        return Response(UrlImportSerializer(row).data, status=status.HTTP_202_ACCEPTED, headers=headers)


@extend_schema_view(get=extend_schema(operation_id="list_imports", summary="Imports, newest first"))
class ImportsView(generics.ListAPIView[UrlImport]):
    queryset = UrlImport.objects.none()  # for the schema, which is made without a viewer
    serializer_class = UrlImportSerializer

    def get_queryset(self) -> QuerySet[UrlImport]:
        return selectors.imports_for(viewer_of(self.request))


class ImportView(APIView):
    @extend_schema(operation_id="get_import", responses=UrlImportSerializer)
    def get(self, request: Request, import_id: str) -> Response:
        return Response(UrlImportSerializer(selectors.import_get_for(viewer_of(request), import_id)).data)

    @extend_schema(
        operation_id="cancel_import",
        responses={204: OpenApiResponse(description="Its bytes are freed; a video it became stays.")},
    )
    def delete(self, request: Request, import_id: str) -> Response:
        upload_discard(upload=selectors.import_get_for(viewer_of(request), import_id).upload)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ImportRetryView(APIView):
    @extend_schema(operation_id="retry_import", request=None, responses={202: UrlImportSerializer})
    def post(self, request: Request, import_id: str) -> Response:
        """Begin the tries of a failed import anew."""
        viewer = viewer_of(request)
        import_retry(row=selectors.import_get_for(viewer, import_id))
        row = selectors.import_get_for(viewer, import_id)
        return Response(UrlImportSerializer(row).data, status=status.HTTP_202_ACCEPTED)
