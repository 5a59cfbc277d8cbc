"""Jobs and operations as JSON. The values of a job are made in `jobs.events`; here they get a schema."""

from __future__ import annotations

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine.types.plan import Plan
from jobs.events import HoldCode, JobState, job_state
from jobs.models import Job
from jobs.selectors import OperationWithJob
from users.models import Priority
from videos.models import Operation
from videos.serializers import ErrorSerializer, OutputSerializer, error_of


class JobFixSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    parameters = serializers.DictField()
    words = serializers.CharField(help_text="What a button with it says")


class JobErrorSerializer(ErrorSerializer):
    retryable = serializers.BooleanField()
    fix = JobFixSerializer(
        allow_null=True, help_text="An operation on the same video that would not fail for this reason"
    )


class JobHoldSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=get_args(HoldCode))
    detail = serializers.CharField()
    until = serializers.CharField(
        allow_null=True, help_text="When that is expected to end, where it is known"
    )


class EstimateSerializer(serializers.Serializer[Any]):
    """The form of `jobs.events.EstimateState`."""

    state = serializers.ChoiceField(
        choices=["known", "estimating"],
        help_text="`estimating`: this server has not seen enough of such work to tell; all times are null",
    )
    starts_at = serializers.CharField(allow_null=True, help_text="Expected begin of a job that waits")
    starts_earliest = serializers.CharField(allow_null=True)
    starts_latest = serializers.CharField(allow_null=True)
    ends_at = serializers.CharField(allow_null=True, help_text="Expected end")
    ends_earliest = serializers.CharField(allow_null=True)
    ends_latest = serializers.CharField(allow_null=True)


class QueueSerializer(serializers.Serializer[Any]):
    """All work of the site."""

    state = serializers.ChoiceField(choices=["idle", "known", "estimating"])
    waiting = serializers.IntegerField(help_text="Steps of jobs that wait")
    running = serializers.IntegerField(help_text="Steps of jobs that run")
    ends_at = serializers.CharField(allow_null=True, help_text="When the last of them is expected to be done")
    ends_earliest = serializers.CharField(allow_null=True)
    ends_latest = serializers.CharField(allow_null=True)


class JobSerializer(serializers.Serializer[Any]):
    """The form of `jobs.events.JobState`."""

    id = serializers.CharField()
    operation = serializers.CharField(allow_null=True)
    video = serializers.CharField(allow_null=True)
    type = serializers.CharField(help_text="The operation's type, or intake for the inspection of an upload")
    status = serializers.ChoiceField(choices=Job.Status.choices)
    priority = serializers.ChoiceField(choices=Priority.labels)
    progress = serializers.FloatField(help_text="Per cent")
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of video per second")
    eta_seconds = serializers.FloatField(
        allow_null=True, help_text="Seconds left to its end; null while that is being estimated"
    )
    queue_position = serializers.IntegerField(
        allow_null=True, help_text="From 1, while it waits: the turns of all users are counted"
    )
    held = JobHoldSerializer(
        allow_null=True,
        help_text="Why it waits although a worker may be free. Live events come without it.",
    )
    estimate = EstimateSerializer(
        allow_null=True, help_text="While it waits or runs: when it is expected to begin and to end"
    )
    attempt = serializers.IntegerField(help_text="Tries so far; a queued job with some waits for the next")
    max_attempts = serializers.IntegerField()
    run_after = serializers.CharField(allow_null=True, help_text="Not tried again before this time")
    paused_at = serializers.CharField(allow_null=True, help_text="Since when, while it is paused")
    error = JobErrorSerializer(allow_null=True)
    queued_at = serializers.CharField()
    started_at = serializers.CharField(allow_null=True)
    finished_at = serializers.CharField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True, help_text="From the first start to the end")
    cpu_seconds = serializers.FloatField()
    seq = serializers.IntegerField(help_text="Grows with every change of the job")


class OperationSerializer(serializers.ModelSerializer[Operation]):
    """Give the latest job's state as context `jobs`, by operation id."""

    video = serializers.CharField(source="video_id")
    job = serializers.SerializerMethodField()
    outputs = OutputSerializer(many=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = Operation
        fields = ("id", "video", "type", "parameters", "status", "error", "job", "outputs", "created_at")

    @extend_schema_field(JobSerializer(allow_null=True))
    def get_job(self, operation: Operation) -> JobState | None:
        state: JobState | None = self.context["jobs"].get(operation.id)
        return state

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, operation: Operation) -> dict[str, str] | None:
        return error_of(operation)


def operations_as_json(
    found: list[OperationWithJob], *, states: dict[str, JobState], context: dict[str, Any]
) -> list[dict[str, Any]]:
    """The API's form of operations; `states` has those of their jobs, by job id."""
    jobs = {
        one.operation.id: states.get(one.job.id) or job_state(one.job) for one in found if one.job is not None
    }
    rows = [one.operation for one in found]
    return list(OperationSerializer(rows, many=True, context={**context, "jobs": jobs}).data)


class OperationCreateSerializer(serializers.Serializer[Any]):
    """Unknown keys are refused: a misspelt one would be ignored in silence."""

    type = serializers.CharField(max_length=64, required=False, help_text="Needed without a preset")
    parameters = serializers.DictField(required=False, default=dict, help_text="See GET /api/v1/operations")
    preset = serializers.CharField(
        max_length=64, required=False, help_text="Instead of type and parameters: see GET /api/v1/presets"
    )
    priority = serializers.ChoiceField(
        choices=Priority.labels, required=False, help_text="At most what the account's tier grants"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such key."), code="unknown")
        if "preset" in attrs and {"type", "parameters"} & set(self.initial_data):
            both = {"preset": "Give a preset, or a type with its parameters, not both."}
            raise serializers.ValidationError(both, code="conflict")
        if "preset" not in attrs and "type" not in attrs:
            raise serializers.ValidationError({"type": "Give a type or a preset."}, code="required")
        return attrs

    @property
    def priority_value(self) -> int | None:
        label = self.validated_data.get("priority")
        return None if label is None else Priority.values[Priority.labels.index(label)]


class StreamDecisionSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["video", "audio", "subtitle", "data"])
    source_index = serializers.IntegerField()
    action = serializers.ChoiceField(choices=["copy", "encode", "drop"])
    codec = serializers.CharField(allow_null=True)
    why = serializers.CharField()


class PlannedOutputSerializer(serializers.Serializer[Any]):
    role = serializers.CharField()
    container = serializers.CharField()
    extension = serializers.CharField()
    content_type = serializers.CharField()


class PlanSerializer(serializers.Serializer[Plan]):
    """What a person decides by; the commands behind it are the engine's business."""

    type = serializers.CharField(source="operation")
    summary = serializers.CharField()
    streams = StreamDecisionSerializer(many=True)
    outputs = PlannedOutputSerializer(many=True)
    estimated_size = serializers.IntegerField(allow_null=True, help_text="Bytes")
    estimated_seconds = serializers.FloatField(
        allow_null=True, help_text="On an idle site; null until this server has learned from such work"
    )
    estimated_between = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        help_text="Seconds: it probably takes no less and no more",
    )


class JobMoveSerializer(serializers.Serializer[Any]):
    """One of the two."""

    before = serializers.CharField(
        max_length=64, required=False, help_text="Id of the job to stand right before"
    )
    after = serializers.CharField(
        max_length=64, required=False, help_text="Id of the job to stand right after"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such key."), code="unknown")
        if len(attrs) != 1:
            raise serializers.ValidationError(
                {"before": "Give before or after, one of them."}, code="required"
            )
        return attrs


class CancelledSerializer(serializers.Serializer[Any]):
    cancelled = serializers.IntegerField(help_text="How many jobs this request ended")


class SocketTicketSerializer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="For /ws/v1/events?ticket=…, once, within 30 seconds")
    expires_in = serializers.IntegerField(help_text="Seconds")
