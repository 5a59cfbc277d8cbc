"""Videos, uploads, operations and outputs for administrators. What the machine knows is read-only.

The list of videos is registered by `jobs.admin`, which can also inspect them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from engine import catalogue
from problems import Problem
from users.admin_base import ListAdmin
from users.selectors import users_named
from videos import storage
from videos.models import Asset, Operation, Output, Preset, ShareLink, Upload, Video
from videos.names import name_clean
from videos.selectors import NAMED_FEW, videos_named
from videos.services.assets import asset_delete
from videos.services.presets import preset_parameters
from videos.services.shares import share_revoke
from videos.services.uploads import upload_discard
from videos.services.videos import video_restore, video_trash

_SEARCH_HELP = "An id, how the name begins, a user's e-mail address, or how their user name begins."


class MissingFileFilter(admin.SimpleListFilter):
    """Rows whose file is not there. Only the disk knows, so a page looks through a bounded number of rows."""

    title = "file"
    parameter_name = "file"
    MISSING = "missing"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [(self.MISSING, "Missing")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class MachineMade(ListAdmin):
    """Rows that come from uploads and jobs: looked at, not written."""

    writable: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, _request: HttpRequest, _row: Model | None = None) -> list[str]:
        return [field.name for field in self.opts.fields if field.name not in self.writable]

    def has_delete_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        # Deleting a row here would leave its files and running jobs behind; each has an action instead.
        return False

    def has_change_permission(self, request: HttpRequest, row: Model | None = None) -> bool:
        # Where nothing can be written, a page without a button to save; actions ask for the right itself.
        return super().has_change_permission(request, row) and (row is None or bool(self.writable))

    def file_is_there(self, row: Any) -> bool:
        """Whether the row's file is where it belongs; for lists with MissingFileFilter."""
        raise NotImplementedError

    def rows_kept(self, request: HttpRequest) -> Callable[[Sequence[Any]], list[Any]] | None:
        if request.GET.get(MissingFileFilter.parameter_name) != MissingFileFilter.MISSING:
            return None
        return lambda rows: [row for row in rows if not self.file_is_there(row)]


class VideoAdmin(MachineMade):
    """What videos alone know; see `jobs.admin.videos`."""

    writable = ("name",)
    list_display = ("name", "owner", "status", "container", "bytes", "duration", "created_at", "deleted_at")
    list_filter = (
        "status", "created_at", ("deleted_at", admin.EmptyFieldListFilter), MissingFileFilter,
    )  # fmt: skip
    list_select_related = ("owner",)
    list_defer = ("media_info",)
    search_fields = ("name",)
    search_help_text = _SEARCH_HELP
    address_filters = ("owner",)
    ordering = ("-id",)
    actions: tuple[str, ...] = ("trash", "restore")

    def search(self, rows: QuerySet[Video], term: str) -> QuerySet[Video]:
        owners, named = list(users_named(term)), videos_named(term).values("pk")
        if not owners:
            return rows.filter(pk__in=named)
        # As lists: PostgreSQL reads no index for "this subquery or that one".
        return rows.filter(Q(owner__in=owners) | Q(pk__in=list(named.values_list("pk", flat=True))))

    def file_is_there(self, video: Video) -> bool:
        return not video.has_bytes or storage.is_there(storage.source_path(video.pk))

    def row_actions(self, _request: HttpRequest, video: Video) -> Sequence[str]:
        return ("trash",) if video.deleted_at is None else ("restore",)

    @admin.display(description="size")
    def bytes(self, video: Video) -> str:
        return filesizeformat(video.size)

    @admin.action(description="Move selected videos to the trash (stops their jobs)", permissions=["change"])
    def trash(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        self.each(
            request,
            videos,
            lambda video: video_trash(video=video),
            done="moved to the trash",
            note="Trashed.",
        )

    @admin.action(description="Take selected videos out of the trash", permissions=["change"])
    def restore(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        self.each(
            request,
            videos,
            lambda video: video_restore(video=video, check_room=False),
            done="taken out of the trash",
            note="Taken out of the trash.",
        )


@admin.register(Upload)
class UploadAdmin(MachineMade):
    list_display = ("id", "owner", "filename", "length", "offset", "video", "created_at", "expires_at")
    list_filter = (("video", admin.EmptyFieldListFilter), "created_at", "expires_at", MissingFileFilter)
    list_select_related = ("owner", "video")
    list_defer = ("metadata", "video__media_info")
    search_fields = ("owner__username",)
    search_help_text = "An id, a user's e-mail address, or how their user name begins."
    address_filters = ("owner",)
    ordering = ("-id",)
    actions = ("discard",)

    def search(self, rows: QuerySet[Upload], term: str) -> QuerySet[Upload]:
        return rows.filter(owner__in=list(users_named(term)))

    def file_is_there(self, upload: Upload) -> bool:
        return upload.reserved_video_id is not None or storage.upload_path(upload.pk).is_file()

    def row_actions(self, _request: HttpRequest, _upload: Upload) -> Sequence[str]:
        return ("discard",)

    @admin.action(description="Discard selected uploads and free their bytes", permissions=["change"])
    def discard(self, request: HttpRequest, uploads: QuerySet[Upload]) -> None:
        self.each(
            request,
            uploads,
            lambda upload: upload_discard(upload=upload),
            done="discarded",
            note="Discarded.",
        )


@admin.register(Operation)
class OperationAdmin(MachineMade):
    list_display = ("id", "type", "video", "owner", "status", "error_code", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("video__owner",)
    list_defer = ("video__media_info",)
    search_fields = ("video__name",)
    search_help_text = "An id, or how the name of one of the newest videos begins."
    address_filters = ("video",)
    ordering = ("-id",)

    def search(self, rows: QuerySet[Operation], term: str) -> QuerySet[Operation]:
        return rows.filter(video__in=list(videos_named(term, at_most=NAMED_FEW).values_list("pk", flat=True)))

    @admin.display
    def owner(self, operation: Operation) -> str:
        return str(operation.video.owner)


@admin.register(Output)
class OutputAdmin(MachineMade):
    list_display = ("id", "filename", "role", "operation", "content_type", "bytes", "created_at")
    list_filter = ("created_at", MissingFileFilter)
    list_select_related = ("operation",)
    list_defer = ("media_info", "verification", "operation__parameters")
    search_fields = ("operation__video__name",)
    search_help_text = "An id, or how the name of one of the newest videos begins."
    address_filters = ("operation",)
    ordering = ("-id",)

    def search(self, rows: QuerySet[Output], term: str) -> QuerySet[Output]:
        videos = list(videos_named(term, at_most=NAMED_FEW).values_list("pk", flat=True))
        return rows.filter(operation__in=Operation.objects.filter(video__in=videos).values("pk"))

    def file_is_there(self, output: Output) -> bool:
        return storage.is_there(storage.output_path(output.pk))

    @admin.display(description="size")
    def bytes(self, output: Output) -> str:
        return filesizeformat(output.size)


@admin.register(ShareLink)
class ShareLinkAdmin(MachineMade):
    """What is shared, and by whom; the address itself stays between its owner and their visitors."""

    list_display = (
        "id",
        "title",
        "owner",
        "video",
        "output",
        "views",
        "downloads",
        "expires_at",
        "revoked_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("owner", "video", "output")
    list_defer = ("video__media_info", "output__media_info", "output__verification", "output__members")
    search_fields = ("owner__username",)
    search_help_text = "An id, a user's e-mail address, or how their user name begins."
    address_filters = ("owner", "video")
    ordering = ("-id",)
    exclude = ("token", "password")
    actions = ("revoke",)

    def search(self, rows: QuerySet[ShareLink], term: str) -> QuerySet[ShareLink]:
        return rows.filter(owner__in=list(users_named(term)))

    def get_readonly_fields(self, request: HttpRequest, row: Model | None = None) -> list[str]:
        return [name for name in super().get_readonly_fields(request, row) if name not in self.exclude]

    def row_actions(self, _request: HttpRequest, share: ShareLink) -> Sequence[str]:
        return ("revoke",) if share.revoked_at is None else ()

    @admin.action(description="End selected links for good", permissions=["change"])
    def revoke(self, request: HttpRequest, shares: QuerySet[ShareLink]) -> None:
        self.each(request, shares, lambda share: share_revoke(share=share), done="ended", note="Ended.")


@admin.register(Asset)
class AssetAdmin(MachineMade):
    list_display = ("filename", "owner", "kind", "bytes", "created_at")
    list_filter = ("created_at", MissingFileFilter)
    list_select_related = ("owner",)
    list_defer = ("media_info",)
    search_fields = ("owner__username",)
    search_help_text = "An id, a user's e-mail address, or how their user name begins."
    address_filters = ("owner",)
    ordering = ("-id",)
    actions = ("delete_files",)

    def search(self, rows: QuerySet[Asset], term: str) -> QuerySet[Asset]:
        return rows.filter(owner__in=list(users_named(term)))

    def file_is_there(self, asset: Asset) -> bool:
        return storage.asset_path(asset.pk).is_file()

    def row_actions(self, _request: HttpRequest, _asset: Asset) -> Sequence[str]:
        return ("delete_files",)

    @admin.display(description="size")
    def bytes(self, asset: Asset) -> str:
        return filesizeformat(asset.size)

    @admin.action(description="Delete selected assets for good", permissions=["remove"])
    def delete_files(self, request: HttpRequest, assets: QuerySet[Asset]) -> None:
        self.each(request, assets, lambda asset: asset_delete(asset=asset), done="deleted", note="Deleted.")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Django's own `delete` stays refused: it would leave the file behind."""
        return request.user.has_perm("videos.delete_asset")


class PresetAdminForm(forms.ModelForm[Preset]):
    """The engine judges the parameters, as it does for the API."""

    type = forms.ChoiceField(label="Operation")

    class Meta:
        model = Preset
        fields: ClassVar = [
            "name", "description", "purpose", "position", "type", "parameters", "enabled",
        ]  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if isinstance(kind := self.fields.get("type"), forms.ChoiceField):  # none where it is only looked at
            kind.choices = [(type_, operation.title) for type_, operation in catalogue.operations().items()]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        if name := found.get("name"):
            found["name"] = name_clean(name)
            others = Preset.objects.filter(owner=self.instance.owner, name__iexact=found["name"])
            if not found["name"] or others.exclude(pk=self.instance.pk).exists():
                self.add_error("name", "There is such a preset already, or it is empty.")
        if {"type", "parameters"} <= set(found):
            given = found["parameters"] or {}
            if not isinstance(given, dict):
                self.add_error("parameters", "Must be a JSON object.")
                return found
            try:
                found["parameters"] = preset_parameters(
                    owner=self.instance.owner, type=found["type"], parameters=given
                )
            except Problem as problem:
                for fault in problem.errors:
                    where = fault.pointer.removeprefix("/parameters").strip("/")
                    self.add_error("parameters", f"{where}: {fault.detail}" if where else fault.detail)
                if not problem.errors:
                    self.add_error("parameters", problem.detail)
        return found


@admin.register(Preset)
class PresetAdmin(ListAdmin):
    """Those made here are the site's. Those of users can be looked at, changed and deleted."""

    form = PresetAdminForm
    list_display = ("name", "whose", "purpose", "type", "position", "enabled", "updated_at")
    list_filter = (("owner", admin.EmptyFieldListFilter),)
    list_select_related = ("owner",)
    list_defer = ("parameters",)
    search_fields = ("name",)
    search_help_text = "An id, what the name of one of the site contains, or a user as in the other lists."
    address_filters = ("owner",)
    ordering = ("-id",)
    fields = (
        "id", "owner", "name", "description", "purpose", "position", "type", "parameters", "enabled",
        "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = ("id", "owner", "created_at", "updated_at")

    def search(self, rows: QuerySet[Preset], term: str) -> QuerySet[Preset]:
        owners = list(users_named(term))
        named = Preset.objects.filter(owner=None, name__icontains=term).values_list("pk", flat=True)
        return rows.filter(Q(owner__in=owners) | Q(pk__in=list(named)))

    @admin.display(description="owner")
    def whose(self, preset: Preset) -> str:
        return "the site" if preset.owner is None else str(preset.owner)
