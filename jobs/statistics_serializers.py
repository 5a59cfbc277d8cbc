"""The figures of jobs as JSON, and the query that asks for them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from engine.catalogue import operations
from jobs import statistics
from jobs.events import JobState, job_state
from jobs.figures import PERCENTILE_ERROR, Scope
from jobs.models import SLOW_MS, Job
from jobs.serializers import JobSerializer
from users.ids import public_id_is_valid
from users.models import User

_WEEK_MS = 7 * 24 * 60 * 60 * 1000


def _id_check(prefix: str, words: str) -> Any:
    def check(value: str) -> None:
        if not public_id_is_valid(prefix, value):
            raise serializers.ValidationError(f"This is no id of {words}.", code="invalid")

    return check


class ScopeQuerySerializer(serializers.Serializer[Any]):
    """Whose jobs and which. Unknown names are refused: a misspelt filter would give a wrong figure."""

    also_allowed: frozenset[str] = frozenset()

    type = serializers.ChoiceField(
        choices=[*operations(), Job.INTAKE],
        required=False,
        help_text="Only this type; inspections of uploads count with `intake` only",
    )
    video = serializers.CharField(
        validators=[_id_check("vid", "a video")], required=False, help_text="Only this video"
    )
    user = serializers.CharField(
        validators=[_id_check("usr", "a user")], required=False, help_text="This user's jobs, for staff"
    )
    scope = serializers.ChoiceField(
        choices=["own", "all"], required=False, help_text="`all`: everybody's jobs, for staff"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - {*self.fields, *self.also_allowed}):
            raise serializers.ValidationError(
                dict.fromkeys(unknown, "There is no such filter."), code="unknown"
            )
        return attrs

    def scope_for(self, viewer: User, *, video_id: str | None = None) -> Scope:
        """Raises what `statistics.scope_for` and `statistics.period_of` raise, and ValidationError."""
        self.is_valid(raise_exception=True)
        asked = self.validated_data
        period = statistics.period_of(asked.get("from"), asked.get("to")) if "to" in self.fields else None
        return statistics.scope_for(
            viewer,
            user_id=asked.get("user"),
            everybody=asked.get("scope") == "all",
            period=period,
            type=asked.get("type", ""),
            video_id=video_id or asked.get("video"),
        )


class PeriodQuerySerializer(ScopeQuerySerializer):
    """A scope and a period."""

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python, so it cannot be declared above.
        return {
            "from": serializers.DateTimeField(
                required=False, help_text="A date or time, in UTC without a zone; 30 days before `to`"
            ),
            "to": serializers.DateTimeField(required=False, help_text="Up to, but without; now"),
            **super().get_fields(),
        }


class PagedQuerySerializer(PeriodQuerySerializer):
    """A scope and a period, for lists."""

    also_allowed = frozenset({"cursor", "limit"})


class SlowQuerySerializer(PagedQuerySerializer):
    threshold_ms = serializers.IntegerField(
        min_value=0, max_value=_WEEK_MS, default=SLOW_MS, help_text="Took longer than this"
    )


class TimelineQuerySerializer(ScopeQuerySerializer):
    days = serializers.IntegerField(
        min_value=1, max_value=statistics.TIMELINE_DAYS_MAX, default=30, help_text="Up to and with today"
    )


class VideoQuerySerializer(ScopeQuerySerializer):
    """Of one video, for all time."""

    type = None  # type: ignore[assignment]  # how DRF takes a declared field away
    video = None  # type: ignore[assignment]


class _RoundedField(serializers.FloatField):
    """Without the digits that say nothing."""

    def to_representation(self, value: Any) -> Any:
        return round(float(value), 3)


class SpreadSerializer(serializers.Serializer[Any]):
    """Milliseconds; null where there was nothing to measure."""

    average = _RoundedField(allow_null=True)
    minimum = _RoundedField(allow_null=True)
    maximum = _RoundedField(allow_null=True)
    p50 = _RoundedField(allow_null=True, help_text="Half of them took no longer; see percentile_error")
    p95 = _RoundedField(allow_null=True, help_text="95 of 100 took no longer; see percentile_error")


class StatusCountsSerializer(serializers.Serializer[Any]):
    queued = serializers.IntegerField()
    active = serializers.IntegerField()
    paused = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class FiguresSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    by_status = StatusCountsSerializer()
    success_rate = _RoundedField(
        allow_null=True, help_text="Completed of those that completed or failed, 0 to 1; null without any"
    )
    retries = serializers.IntegerField(help_text="Tries beyond the first of each job")
    cpu_seconds = _RoundedField()
    output_bytes = serializers.IntegerField(
        help_text="Size of the results the jobs made, stored still or not"
    )
    duration_ms = SpreadSerializer(help_text="From the first start to the end, of completed jobs")
    queue_ms = SpreadSerializer(help_text="From the request to the first start, of all that started")
    percentile_error = serializers.FloatField(
        help_text="p50 and p95 are at most this share of their value off (or half a millisecond): "
        f"{PERCENTILE_ERROR} where they come from roll-ups, 0 where they are exact"
    )


class ScopeSerializer(serializers.Serializer[Any]):
    """What was counted."""

    user = serializers.CharField(source="owner_id", allow_null=True, help_text="null: everybody")
    type = serializers.CharField(allow_null=True)
    video = serializers.CharField(source="video_id", allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "from": serializers.DateTimeField(source="period.start", allow_null=True, default=None),
            "to": serializers.DateTimeField(source="period.end", allow_null=True, default=None),
        }

    def to_representation(self, instance: Scope) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return {**shown, "type": instance.type or None}


class JobStatisticsSerializer(FiguresSerializer):
    """Of the jobs that were asked for in the period."""

    scope = ScopeSerializer()
    active_now = serializers.IntegerField(help_text="Jobs that run now, whenever they were asked for")


class TypeFiguresSerializer(FiguresSerializer):
    type = serializers.CharField()


class TypeStatisticsSerializer(serializers.Serializer[Any]):
    scope = ScopeSerializer()
    types = TypeFiguresSerializer(many=True)


class DaySerializer(serializers.Serializer[Any]):
    """The jobs that were asked for on a day in UTC."""

    date = serializers.DateField()
    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    open = serializers.IntegerField(help_text="Not ended yet")
    cpu_seconds = _RoundedField()


class TimelineSerializer(serializers.Serializer[Any]):
    days = DaySerializer(many=True)


class VideoStatisticsSerializer(JobStatisticsSerializer):
    """All jobs of a video, as long as there is history."""

    by_type = TypeFiguresSerializer(many=True)


class OwnedJobSerializer(JobSerializer):
    """A job and whose it is."""

    user = serializers.CharField()


class FailedJobSerializer(OwnedJobSerializer):
    log_tail = serializers.CharField(help_text=f"The last {statistics.LOG_TAIL_LINES} lines of its log")


class OwnedJobState(JobState):
    user: str


class FailedJobState(OwnedJobState):
    log_tail: str


def owned_job_state(job: Job) -> OwnedJobState:
    """The form of OwnedJobSerializer; for ended jobs, which have no place in the queue."""
    return {**job_state(job), "user": job.owner_id}


def failed_job_state(job: Job) -> FailedJobState:
    """The form of FailedJobSerializer, for rows of `statistics.jobs_in_order`."""
    return {**owned_job_state(job), "log_tail": statistics.failure_log_tail(job)}


def job_statistics(scope: Scope) -> dict[str, Any]:
    """The form of JobStatisticsSerializer."""
    figures = FiguresSerializer(statistics.job_figures(scope)).data
    return {
        "scope": ScopeSerializer(scope).data,
        "active_now": statistics.jobs_active_count(scope),
        **figures,
    }


def type_statistics(scope: Scope) -> dict[str, Any]:
    """The form of TypeStatisticsSerializer."""
    found = statistics.job_figures_by_type(scope)
    types = [{"type": one.type, **FiguresSerializer(one.figures).data} for one in found]
    return {"scope": ScopeSerializer(scope).data, "types": types}
