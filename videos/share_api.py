"""Endpoints of share links, for their owners. Visitors have `videos.share_visitors`."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from users.viewer import viewer_of
from videos import share_selectors as selectors
from videos.models import ShareLink
from videos.selectors import video_get_for
from videos.services import shares as services
from videos.share_serializers import (
    ShareCreateSerializer,
    ShareSerializer,
    ShareUpdateSerializer,
    ShareVisitSerializer,
)


class SharesView(generics.ListAPIView[ShareLink]):
    queryset = ShareLink.objects.none()  # for the schema; each viewer has another one
    serializer_class = ShareSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[ShareLink]:
        return selectors.shares_for(viewer_of(self.request))

    @extend_schema(operation_id="list_shares")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """All your share links, newest first, with those that have ended."""
        return super().get(request, *args, **kwargs)


class VideoSharesView(generics.ListAPIView[ShareLink]):
    queryset = ShareLink.objects.none()  # for the schema
    serializer_class = ShareSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[ShareLink]:
        return selectors.shares_of(video_get_for(viewer_of(self.request), self.kwargs["video_id"]))

    @extend_schema(operation_id="list_video_shares")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The share links of a video and its results, newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_share", request=ShareCreateSerializer, responses={201: ShareSerializer}
    )
    def post(self, request: Request, video_id: str) -> Response:
        """Make an address by which anybody sees the original, or one result."""
        viewer = viewer_of(request)
        video = video_get_for(viewer, video_id)
        wish = _body(ShareCreateSerializer, request)
        output = selectors.output_of_video(viewer, video, wish.pop("output", ""))
        share = services.share_create(video=video, output=output, **wish)
        return Response(ShareSerializer(share).data, status=status.HTTP_201_CREATED)


class ShareView(APIView):
    @extend_schema(operation_id="get_share", responses=ShareSerializer)
    def get(self, request: Request, share_id: str) -> Response:
        return Response(ShareSerializer(_share(request, share_id)).data)

    @extend_schema(operation_id="update_share", request=ShareUpdateSerializer, responses=ShareSerializer)
    def patch(self, request: Request, share_id: str) -> Response:
        """Change what is named; the address stays."""
        share = _share(request, share_id)
        changed = services.share_update(share=share, changes=_body(ShareUpdateSerializer, request))
        return Response(ShareSerializer(changed).data)

    @extend_schema(operation_id="delete_share", responses={204: OpenApiResponse(description="It is gone.")})
    def delete(self, request: Request, share_id: str) -> Response:
        """End the link and remove it with its log."""
        services.share_delete(share=_share(request, share_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ShareRevokeView(APIView):
    @extend_schema(operation_id="revoke_share", request=None, responses=ShareSerializer)
    def post(self, request: Request, share_id: str) -> Response:
        """End the link for good and keep its log."""
        return Response(ShareSerializer(services.share_revoke(share=_share(request, share_id))).data)


class ShareVisitsView(APIView):
    @extend_schema(operation_id="list_share_visits", responses=ShareVisitSerializer(many=True))
    def get(self, request: Request, share_id: str) -> Response:
        """The newest lines of the link's log."""
        found = selectors.share_visits(_share(request, share_id))
        return Response({"data": ShareVisitSerializer(found, many=True).data, "next": None, "previous": None})


def _share(request: Request, share_id: str) -> ShareLink:
    return selectors.share_get_for(viewer_of(request), share_id)


def _body(form_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    form = form_class(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
