"""Videos, and the inspection of those that failed by our fault."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.services import video_inspect_any
from videos.admin import VideoAdmin as VideosOwnAdmin
from videos.models import Video


@admin.register(Video)
class VideoAdmin(VideosOwnAdmin):
    actions = (*VideosOwnAdmin.actions, "inspect_again")

    def row_actions(self, request: HttpRequest, video: Video) -> Sequence[str]:
        offered = super().row_actions(request, video)
        failed = video.status == Video.Status.FAILED and video.has_bytes and video.deleted_at is None
        return (*offered, "inspect_again") if failed else offered

    @admin.action(description="Inspect selected videos again", permissions=["change"])
    def inspect_again(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        self.each(
            request,
            videos,
            lambda video: video_inspect_any(video_id=video.pk),
            done="queued for inspection",
            note="Inspected again.",
        )
