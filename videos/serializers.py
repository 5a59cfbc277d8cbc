"""Videos, uploads, operations and outputs as JSON.

Give the request as context where there is one: addresses then carry the host the client used.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from problems import kind_for
from users.models import User
from users.serializers import UserSerializer
from videos.models import Asset, Operation, Output, Upload, UrlImport, Video
from videos.selectors import storage_reserved, storage_usage, videos_held_counted

API = "/api/v1"
_LINK = {"type": ["string", "null"], "format": "uri"}


class ErrorSerializer(serializers.Serializer[Any]):
    """Why something failed: a stable code, a sentence, and what its reader can do."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()


def error_of(row: Video | Operation | UrlImport) -> dict[str, str] | None:
    """The `error` member of a row that stores a code and a sentence."""
    if not row.error_code:
        return None
    kind = kind_for(row.error_code)
    return {"code": row.error_code, "message": row.error_message, "hint": kind.hint}


class OperationSummarySerializer(serializers.ModelSerializer[Operation]):
    class Meta:
        model = Operation
        fields = ("id", "type", "status")


class _Addressed:
    """Serializers whose rows have addresses of their own."""

    context: dict[str, Any]

    def address(self, path: str) -> str:
        request = self.context.get("request")
        return str(request.build_absolute_uri(API + path)) if request is not None else API + path


class OutputMemberSerializer(serializers.Serializer[Any]):
    """One of the files of a result that is a folder; its address is `files/{name}` beside the result's."""

    name = serializers.CharField()
    content_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()


class OutputSerializer(_Addressed, serializers.ModelSerializer[Output]):
    url = serializers.SerializerMethodField()
    files = OutputMemberSerializer(source="members", many=True, help_text="Empty for most results.")

    class Meta:
        model = Output
        fields = (
            "id", "role", "filename", "content_type", "size", "sha256", "media_info", "verification", "url",
            "files", "created_at",
        )  # fmt: skip

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, output: Output) -> str:
        return self.address(f"/outputs/{output.pk}/file")


class AssetSerializer(_Addressed, serializers.ModelSerializer[Asset]):
    file_url = serializers.SerializerMethodField()

    class Meta:
        model = Asset
        fields = ("id", "kind", "filename", "size", "sha256", "media_info", "file_url", "created_at")

    @extend_schema_field(OpenApiTypes.URI)
    def get_file_url(self, asset: Asset) -> str:
        return self.address(f"/assets/{asset.pk}/file")


class VideoSerializer(_Addressed, serializers.ModelSerializer[Video]):
    file_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    operations = serializers.SerializerMethodField()

    class Meta:
        model = Video
        fields = (
            "id", "name", "original_filename", "status", "error", "size", "sha256", "container", "duration",
            "width", "height", "media_info", "thumbnail_url", "file_url", "operations", "created_at",
            "updated_at", "deleted_at",
        )  # fmt: skip

    @extend_schema_field(_LINK)
    def get_file_url(self, video: Video) -> str | None:
        return self.address(f"/videos/{video.pk}/file") if video.has_bytes else None

    @extend_schema_field(_LINK)
    def get_thumbnail_url(self, video: Video) -> str | None:
        return self.address(f"/videos/{video.pk}/thumbnail") if video.has_thumbnail else None

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, video: Video) -> dict[str, str] | None:
        return error_of(video)

    @extend_schema_field(OperationSummarySerializer(many=True))
    def get_operations(self, video: Video) -> Any:
        # Sorted here, so that a prefetch of the plain relation serves a whole list.
        newest_first = sorted(video.operations.all(), key=lambda operation: operation.pk, reverse=True)
        return OperationSummarySerializer(newest_first, many=True).data


class VideoUpdateSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255)


class UploadSerializer(serializers.ModelSerializer[Upload]):
    video = serializers.CharField(source="video_id", allow_null=True, help_text="Id of the video it became")
    kind = serializers.SerializerMethodField(help_text="whole, or of a concatenation: partial, final")

    class Meta:
        model = Upload
        fields = ("id", "kind", "filename", "title", "length", "offset", "video", "created_at", "expires_at")

    def get_kind(self, upload: Upload) -> str:
        return "partial" if upload.is_partial else "final" if upload.is_final else "whole"


class UrlImportSerializer(serializers.ModelSerializer[UrlImport]):
    """How an import stands. `length` is unknown until the other side has told it."""

    length = serializers.IntegerField(source="upload.length", allow_null=True)
    offset = serializers.IntegerField(source="upload.offset", help_text="Bytes that have arrived")
    video = serializers.CharField(
        source="upload.video_id", allow_null=True, help_text="Id of the video it became"
    )
    error = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(source="upload.expires_at")

    class Meta:
        model = UrlImport
        fields = (
            "id", "url", "status", "length", "offset", "attempt", "error", "video", "created_at",
            "expires_at",
        )  # fmt: skip

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, row: UrlImport) -> dict[str, str] | None:
        """Of an import that waits: why its last try failed."""
        return error_of(row)


class UrlImportRequestSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=2000)
    name = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")


class CatalogueEntrySerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(required=False)
    parameters = serializers.JSONField(help_text="JSON Schema")


class UsageSerializer(serializers.Serializer[Any]):
    storage_bytes = serializers.IntegerField(help_text="Stored, and announced by unfinished uploads")
    reserved_bytes = serializers.IntegerField(help_text="Held for results of jobs that wait or run")
    videos = serializers.IntegerField()


class LimitsSerializer(serializers.Serializer[Any]):
    storage_bytes = serializers.IntegerField(source="storage_bytes_limit")
    max_file_bytes = serializers.IntegerField(source="max_file_bytes_limit")
    concurrent_jobs = serializers.IntegerField(source="concurrent_jobs_limit")


class MeSerializer(UserSerializer):
    usage = serializers.SerializerMethodField()
    limits = LimitsSerializer(source="*", read_only=True)

    class Meta(UserSerializer.Meta):
        fields: tuple[str, ...] = (*UserSerializer.Meta.fields, "usage", "limits")
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(UsageSerializer)
    def get_usage(self, user: User) -> dict[str, int]:
        return {
            "storage_bytes": storage_usage(user),
            "reserved_bytes": storage_reserved(user),
            "videos": sum(videos_held_counted(user).values()),
        }


class VideoCountsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())


class OwnerStatisticsSerializer(serializers.Serializer[Any]):
    videos = serializers.DictField(child=serializers.IntegerField(), help_text="By status")
    video_bytes = serializers.IntegerField()
    video_seconds = serializers.FloatField()
    operations = serializers.DictField(child=serializers.IntegerField(), help_text="By status")
    outputs = serializers.IntegerField()
    output_bytes = serializers.IntegerField()
    storage_bytes = serializers.IntegerField(help_text="What counts against the quota")


class StoredSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    bytes = serializers.IntegerField()


class StoredResultsSerializer(StoredSerializer):
    type = serializers.CharField(help_text="Of the operation")


class LargeVideoSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    original_bytes = serializers.IntegerField()
    result_bytes = serializers.IntegerField()


class StorageMapSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField()
    used = serializers.IntegerField(help_text="Originals, results, small files and unfinished uploads")
    reserved = serializers.IntegerField(help_text="Held for results of jobs that wait or run")
    originals = StoredSerializer()
    results = StoredResultsSerializer(many=True)
    assets = StoredSerializer()
    uploads = StoredSerializer(help_text="What unfinished uploads have announced")
    trash = StoredSerializer(help_text="Does not count against the limit")
    largest = LargeVideoSerializer(many=True)
