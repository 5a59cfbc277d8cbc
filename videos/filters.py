"""How a list of videos is searched, narrowed down and ordered."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import F, QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from problems import FieldError, Problem
from videos.models import DURATION_OR_NONE, Video
from videos.selectors import videos_matching, videos_with_pending_operations

# A cursor cannot stand on "nothing", so a video without a duration yet counts as 0 seconds long. Each is
# served by an index of videos.
_ORDERINGS: dict[str, Any] = {
    "created_at": F("created_at"),
    "name": F("name"),
    "size": F("size"),
    "duration": DURATION_OR_NONE,
}


class VideoFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    search = django_filters.CharFilter(method="matching", label="Words of the name")
    # One table, so no row comes twice; DISTINCT would sort them all.
    status = django_filters.MultipleChoiceFilter(distinct=False, choices=Video.Status.choices)
    pending = django_filters.BooleanFilter(method="with_pending", label="Something waits or runs on it")
    trashed = django_filters.BooleanFilter(
        method="as_chosen", label="What is in the trash, instead of the rest"
    )
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Video
        fields: tuple[str, ...] = ()

    def matching(self, videos: QuerySet[Video], _name: str, value: str) -> QuerySet[Video]:
        return videos_matching(videos, value)

    def as_chosen(self, videos: QuerySet[Video], _name: str, _value: bool) -> QuerySet[Video]:
        """The view has chosen already; here is only the parameter."""
        return videos

    def with_pending(self, videos: QuerySet[Video], _name: str, value: bool) -> QuerySet[Video]:
        pending = videos_with_pending_operations(videos)
        return pending if value else videos.exclude(pk__in=pending.values("pk"))


class VideoOrdering(BaseFilterBackend):
    """`?ordering=`: one of the names above, with `-` for the largest first. Ids break ties."""

    parameter = "ordering"

    def get_ordering(self, request: Request, queryset: QuerySet[Video], _view: Any) -> tuple[str, ...]:
        """Called by the cursor pagination, which does the ordering itself."""
        asked = request.query_params.get(self.parameter, "")
        if not asked:
            return ("-id",)
        descending, name = asked.startswith("-"), asked.removeprefix("-")
        if name not in _ORDERINGS:
            detail = f"Order by one of {', '.join(_ORDERINGS)}, with - in front for the reverse."
            raise Problem("invalid_request", errors=[FieldError("/ordering", "invalid_choice", detail)])
        sign = "-" if descending else ""
        return (f"{sign}ordered_by_{name}", f"{sign}id")

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        name = request.query_params.get(self.parameter, "").removeprefix("-")
        return (
            queryset.annotate(**{f"ordered_by_{name}": _ORDERINGS[name]}) if name in _ORDERINGS else queryset
        )

    def get_schema_operation_parameters(self, _view: Any) -> list[dict[str, Any]]:
        choices = [sign + name for name in _ORDERINGS for sign in ("", "-")]
        schema = {"type": "string", "enum": choices}
        return [{"name": self.parameter, "in": "query", "required": False, "schema": schema}]
