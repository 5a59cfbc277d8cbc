"""Videos, uploads, operations and outputs for administrators. What the machine knows is read-only."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from users.admin_search import PublicIdSearch
from videos.models import Operation, Output, Upload, Video
from videos.services.uploads import upload_discard
from videos.services.videos import video_restore, video_trash


class _MachineMade(PublicIdSearch):
    """Rows that come from uploads and jobs: looked at, not written."""

    writable: ClassVar[tuple[str, ...]] = ()
    show_full_result_count = False

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, _request: HttpRequest, _row: Model | None = None) -> list[str]:
        return [field.name for field in self.opts.fields if field.name not in self.writable]

    def has_delete_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        # Deleting a row here would leave its files and running jobs behind; each has an action instead.
        return False


@admin.register(Video)
class VideoAdmin(_MachineMade):
    writable = ("name",)
    list_display = ("name", "owner", "status", "container", "bytes", "duration", "created_at", "deleted_at")
    list_filter = ("status", "container", "created_at", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username", "owner__email")
    ordering = ("-id",)
    actions = ("trash", "restore")

    @admin.display(description="size", ordering="size")
    def bytes(self, video: Video) -> str:
        return filesizeformat(video.size)

    @admin.action(description="Move to the trash (stops its jobs)", permissions=["change"])
    def trash(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        for video in videos:
            video_trash(video=video)
        messages.success(request, "Moved to the trash. The files go after 7 days.")

    @admin.action(description="Take out of the trash", permissions=["change"])
    def restore(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        for video in videos:
            video_restore(video=video)
        messages.success(request, "Taken out of the trash.")


@admin.register(Upload)
class UploadAdmin(_MachineMade):
    list_display = ("id", "owner", "filename", "length", "offset", "video", "created_at", "expires_at")
    list_filter = (("video", admin.EmptyFieldListFilter), "created_at", "expires_at")
    list_select_related = ("owner", "video")
    search_fields = ("filename", "owner__username")
    ordering = ("-id",)
    actions = ("discard",)

    @admin.action(description="Discard and free the bytes", permissions=["change"])
    def discard(self, request: HttpRequest, uploads: QuerySet[Upload]) -> None:
        discarded = list(uploads)
        for upload in discarded:
            upload_discard(upload=upload)
        messages.success(request, f"Discarded {len(discarded)} upload(s).")


@admin.register(Operation)
class OperationAdmin(_MachineMade):
    list_display = ("id", "type", "video", "owner", "status", "error_code", "created_at")
    list_filter = ("status", "type", "error_code", "created_at")
    list_select_related = ("video__owner",)
    search_fields = ("video__name", "video__owner__username")
    ordering = ("-id",)

    @admin.display(ordering="video__owner__username")
    def owner(self, operation: Operation) -> str:
        return str(operation.video.owner)


@admin.register(Output)
class OutputAdmin(_MachineMade):
    list_display = ("id", "filename", "role", "operation", "content_type", "bytes", "created_at")
    list_filter = ("content_type", "role", "created_at")
    list_select_related = ("operation",)
    search_fields = ("filename", "operation__video__name")
    ordering = ("-id",)

    @admin.display(description="size", ordering="size")
    def bytes(self, output: Output) -> str:
        return filesizeformat(output.size)
