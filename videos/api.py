"""Endpoints of videos, their files, and the catalogue of operations.

Uploading is not here: the edge sends it to the tus application, which takes bytes as they come.
"""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from engine.catalogue import operations
from problems import Problem
from telemetry.metrics import SERVED
from users import services as account_services
from users.permissions import SEES_USERS
from users.selectors import user_get
from users.serializers import UserUpdateSerializer
from users.viewer import viewer_of
from videos import selectors
from videos.delivery import (
    Delivery,
    output_delivery,
    output_member_delivery,
    source_delivery,
    thumbnail_delivery,
)
from videos.filters import VideoFilter, VideoOrdering
from videos.models import Operation, Video
from videos.serializers import (
    CatalogueEntrySerializer,
    MeSerializer,
    OwnerStatisticsSerializer,
    StorageMapSerializer,
    VideoCountsSerializer,
    VideoSerializer,
    VideoUpdateSerializer,
)
from videos.services.videos import trash_empty, video_rename, video_restore, video_trash
from videos.storage_map import storage_map

_FILE = {
    (200, "application/octet-stream"): OpenApiTypes.BINARY,
    (206, "application/octet-stream"): OpenApiTypes.BINARY,
}
_INLINE = OpenApiParameter("inline", bool, description="Let a browser show it instead of saving it.")
_FOR_GOOD = OpenApiParameter("permanently", bool, description="Remove it from the trash for good.")
_WHAT = OpenApiParameter(
    "what", str, enum=["results", "originals", "all"], description="Which files of the videos; else results."
)
_CHOSEN = [
    OpenApiParameter("video", str, many=True, description="Id of a video."),
    OpenApiParameter("output", str, many=True, description="Id of a single result."),
]
_ZIP = {(200, "application/zip"): OpenApiTypes.BINARY, (206, "application/zip"): OpenApiTypes.BINARY}
_UPLOAD = {
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}, "title": {"type": "string"}},
    },
    "application/octet-stream": {"type": "string", "format": "binary"},
}


@extend_schema_view(get=extend_schema(operation_id="list_videos", summary="Videos, newest first"))
class VideosView(generics.ListAPIView[Video]):
    queryset = Video.objects.none()  # for the schema, which is made without a viewer
    serializer_class = VideoSerializer
    filterset_class = VideoFilter
    filter_backends = (DjangoFilterBackend, VideoOrdering)

    def get_queryset(self) -> QuerySet[Video]:
        viewer = viewer_of(self.request)
        trashed = _yes(self.request, "trashed")
        videos = selectors.videos_trashed_for(viewer) if trashed else selectors.videos_for(viewer)
        # Their parameters stay where they are: a list shows the kind and the state.
        summary = Operation.objects.only("id", "video_id", "type", "status")
        return videos.prefetch_related(Prefetch("operations", summary))

    @extend_schema(
        operation_id="create_video",
        summary="Upload a video in one request",
        description="For files over a few hundred megabytes use the resumable protocol at /api/v1/uploads.",
        request=_UPLOAD,
        parameters=[
            OpenApiParameter("filename", str, description="Name of the file, for a raw body."),
            OpenApiParameter("title", str, description="How the video shall be called."),
        ],
        responses={201: VideoSerializer},
    )
    def post(self, _request: Request) -> Response:
        """Only reached where the edge does not send uploads to the process that takes them."""
        raise Problem("service_unavailable")


class VideoCountsView(generics.GenericAPIView[Video]):
    queryset = Video.objects.none()  # for the schema, which is made without a viewer
    serializer_class = VideoCountsSerializer
    filterset_class = VideoFilter
    pagination_class = None

    @extend_schema(operation_id="count_videos")
    def get(self, request: Request) -> Response:
        """How many videos there are, in all and by status; the filters of the list hold here too."""
        viewer = viewer_of(request)
        counts = (
            selectors.videos_counted(self.filter_queryset(selectors.videos_for(viewer)))
            if request.query_params
            else selectors.videos_held_counted(viewer)
        )
        return Response({"total": sum(counts.values()), "by_status": counts})


class VideoView(APIView):
    @extend_schema(operation_id="get_video", responses=VideoSerializer)
    def get(self, request: Request, video_id: str) -> Response:
        return self._answer(selectors.video_get_for(viewer_of(request), video_id))

    @extend_schema(operation_id="rename_video", request=VideoUpdateSerializer, responses=VideoSerializer)
    def patch(self, request: Request, video_id: str) -> Response:
        form = VideoUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        video = selectors.video_get_for(viewer_of(request), video_id)
        return self._answer(video_rename(video=video, name=form.validated_data["name"]))

    @extend_schema(
        operation_id="delete_video",
        parameters=[_FOR_GOOD],
        responses={204: OpenApiResponse(description="In the trash, or gone.")},
    )
    def delete(self, request: Request, video_id: str) -> Response:
        """Move the video with its results to the trash; with `permanently` remove it from there for good."""
        viewer = viewer_of(request)
        if _yes(request, "permanently"):
            trashed = selectors.video_trashed_get_for(viewer, video_id)
            trash_empty(owner=viewer, video_ids=[trashed.pk])
        else:
            video_trash(video=selectors.video_get_for(viewer, video_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, video: Video) -> Response:
        return Response(VideoSerializer(video, context={"request": self.request}).data)


class VideoRestoreView(APIView):
    @extend_schema(operation_id="restore_video", request=None, responses=VideoSerializer)
    def post(self, request: Request, video_id: str) -> Response:
        """Take a video with its results out of the trash."""
        viewer = viewer_of(request)
        video_restore(video=selectors.video_trashed_get_for(viewer, video_id))
        video = selectors.video_get_for(viewer, video_id)
        return Response(VideoSerializer(video, context={"request": request}).data)


class VideoArchiveView(APIView):
    @extend_schema(operation_id="download_results", parameters=[_WHAT], responses=_ZIP)
    def get(self, _request: Request, video_id: str) -> Response:
        """All results of a video as one zip, with its size beforehand and byte ranges."""
        raise Problem("service_unavailable")  # the edge sends it to the process that streams


class ArchiveView(APIView):
    @extend_schema(operation_id="download_archive", parameters=[*_CHOSEN, _WHAT], responses=_ZIP)
    def get(self, _request: Request) -> Response:
        """Files of several videos, and single results, as one zip; its size is told, and it has ranges."""
        raise Problem("service_unavailable")  # the edge sends it to the process that streams


class VideoFileView(APIView):
    @extend_schema(operation_id="download_video", parameters=[_INLINE], responses=_FILE)
    def get(self, request: Request, video_id: str) -> HttpResponse:
        """The original, with byte ranges."""
        video = selectors.video_get_for(viewer_of(request), video_id)
        return _handed_out(request, source_delivery(video, inline=_inline(request)))


class VideoThumbnailView(APIView):
    @extend_schema(operation_id="get_thumbnail", responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    def get(self, request: Request, video_id: str) -> HttpResponse:
        """A picture of the video, as JPEG."""
        return _handed_out(request, thumbnail_delivery(selectors.video_get_for(viewer_of(request), video_id)))


class OutputFileView(APIView):
    @extend_schema(operation_id="download_output", parameters=[_INLINE], responses=_FILE)
    def get(self, request: Request, output_id: str) -> HttpResponse:
        """A result, with byte ranges. Of a stream it is the master playlist, which leads to its files."""
        output = selectors.output_get_for(viewer_of(request), output_id)
        return _handed_out(request, output_delivery(output, inline=_inline(request)))


class OutputMemberView(APIView):
    @extend_schema(operation_id="get_output_file", responses=_FILE)
    def get(self, request: Request, output_id: str, name: str) -> HttpResponse:
        """One of the files of a result that has several, such as a stream, with byte ranges."""
        output = selectors.output_get_for(viewer_of(request), output_id)
        return _handed_out(request, output_member_delivery(output, name))


class CatalogueView(APIView):
    @extend_schema(operation_id="list_operation_types", responses=CatalogueEntrySerializer(many=True))
    def get(self, _request: Request) -> Response:
        """Every operation that can be asked for, with the JSON Schema of its parameters."""
        data = [
            {
                "type": operation.type,
                "title": operation.title,
                "description": operation.description,
                "parameters": operation.Parameters.model_json_schema(),
            }
            for operation in operations().values()
        ]
        return Response({"data": data, "next": None, "previous": None})


class MeView(APIView):
    """The caller's account. It is on this floor because usage counts the bytes of videos."""

    @extend_schema(operation_id="get_me", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return self._answer(request)

    @extend_schema(operation_id="update_me", request=UserUpdateSerializer, responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        form = UserUpdateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        account_services.user_update(user=viewer_of(request), **form.validated_data)
        return self._answer(request)

    @extend_schema(
        operation_id="delete_me", responses={204: OpenApiResponse(description="All of it is gone.")}
    )
    def delete(self, request: Request) -> Response:
        account_services.user_delete(user=viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, request: Request) -> Response:
        return Response(MeSerializer(viewer_of(request)).data)


class MeStatisticsView(APIView):
    @extend_schema(operation_id="get_my_statistics", responses=OwnerStatisticsSerializer)
    def get(self, request: Request) -> Response:
        """What the caller has: videos and operations by status, results, bytes and seconds."""
        found = selectors.owner_statistics(viewer_of(request))
        return Response(OwnerStatisticsSerializer(found).data)


class UserStatisticsView(APIView):
    permission_classes = SEES_USERS

    @extend_schema(operation_id="get_user_statistics", responses=OwnerStatisticsSerializer)
    def get(self, _request: Request, user_id: str) -> Response:
        """What somebody has. For staff who may see accounts."""
        found = selectors.owner_statistics(user_get(user_id))
        return Response(OwnerStatisticsSerializer(found).data)


class MeStorageView(APIView):
    @extend_schema(operation_id="get_my_storage", responses=StorageMapSerializer)
    def get(self, request: Request) -> Response:
        """What takes the caller's space: by kind, by operation, and the largest videos."""
        return Response(StorageMapSerializer(storage_map(viewer_of(request))).data)


def _inline(request: Request) -> bool:
    return _yes(request, "inline")


def _yes(request: Request, parameter: str) -> bool:
    return request.query_params.get(parameter, "").lower() in {"1", "true", "yes"}


def _handed_out(request: Request, delivery: Delivery) -> HttpResponse:
    """An answer without a body: the edge puts the file in."""
    # With a condition it is most often answered by 304.
    if request.method == "GET" and "If-None-Match" not in request.headers:
        SERVED.add(delivery.promised_bytes(request.headers.get("Range", "")))
    return delivery.answer(str(request.method), request.headers)
