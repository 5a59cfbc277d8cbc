"""How a list of jobs is narrowed down."""

from __future__ import annotations

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from engine.catalogue import operations
from jobs.models import Job
from users.ids import public_id_is_valid


def _video_id_check(value: str) -> None:
    if not public_id_is_valid("vid", value):
        raise ValidationError("This is no id of a video.", code="invalid")


def _types() -> list[tuple[str, str]]:
    known = [(operation.type, operation.title) for operation in operations().values()]
    return [*known, (Job.INTAKE, "Inspection of an upload")]


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Wrong values are answered with what is right, not ignored."""

    # One table, so no row comes twice; DISTINCT would sort them all.
    status = django_filters.MultipleChoiceFilter(distinct=False, choices=Job.Status.choices)
    type = django_filters.ChoiceFilter(choices=_types)
    video = django_filters.CharFilter(field_name="video_id", validators=[_video_id_check])
    created_after = django_filters.IsoDateTimeFilter(field_name="queued_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="queued_at", lookup_expr="lt")

    class Meta:
        model = Job
        fields: tuple[str, ...] = ()

    def filter_queryset(self, queryset: QuerySet[Job]) -> QuerySet[Job]:
        jobs: QuerySet[Job] = super().filter_queryset(queryset)
        # Nobody asked for the inspection of an upload, so it is listed only by its name.
        return jobs if self.form.cleaned_data["type"] == Job.INTAKE else jobs.exclude(type=Job.INTAKE)
