"""Endpoints of the statistics of jobs: the caller's own, and for staff those of others."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import statistics
from jobs.figures import Scope
from jobs.models import Job
from jobs.statistics_serializers import (
    FailedJobSerializer,
    JobStatisticsSerializer,
    OwnedJobSerializer,
    PagedQuerySerializer,
    PeriodQuerySerializer,
    SlowQuerySerializer,
    TimelineQuerySerializer,
    TimelineSerializer,
    TypeStatisticsSerializer,
    VideoQuerySerializer,
    VideoStatisticsSerializer,
    failed_job_state,
    job_statistics,
    owned_job_state,
    type_statistics,
)
from users.viewer import viewer_of


class JobStatisticsView(APIView):
    @extend_schema(
        operation_id="get_job_statistics",
        parameters=[PeriodQuerySerializer],
        responses=JobStatisticsSerializer,
    )
    def get(self, request: Request) -> Response:
        """How many jobs, how well, how long they waited and took, and what they cost."""
        return Response(job_statistics(_scope(PeriodQuerySerializer(data=request.query_params), request)))


class TypeStatisticsView(APIView):
    @extend_schema(
        operation_id="get_job_statistics_by_type",
        parameters=[PeriodQuerySerializer],
        responses=TypeStatisticsSerializer,
    )
    def get(self, request: Request) -> Response:
        """The same figures for each type of jobs, the most frequent first."""
        return Response(type_statistics(_scope(PeriodQuerySerializer(data=request.query_params), request)))


class TimelineView(APIView):
    @extend_schema(
        operation_id="get_job_timeline", parameters=[TimelineQuerySerializer], responses=TimelineSerializer
    )
    def get(self, request: Request) -> Response:
        """The jobs of each of the last days, days without jobs included."""
        query = TimelineQuerySerializer(data=request.query_params)
        scope = _scope(query, request)
        days = statistics.job_timeline(scope, days=query.validated_data["days"])
        return Response(TimelineSerializer({"days": days}).data)


class _NewestFirst(BaseFilterBackend):
    """Tells the cursor pagination what a view orders by."""

    def get_ordering(self, _request: Request, _rows: Any, view: Any) -> tuple[str, ...]:
        return (f"-{view.moment}", "-id")

    def filter_queryset(self, _request: Request, queryset: Any, _view: Any) -> Any:
        return queryset


class SlowJobsView(generics.GenericAPIView[Job]):
    queryset = Job.objects.none()
    serializer_class = OwnedJobSerializer
    filter_backends = (_NewestFirst,)
    moment = "queued_at"

    @extend_schema(
        operation_id="list_slow_jobs",
        parameters=[SlowQuerySerializer],
        responses=OwnedJobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Ended jobs that took longer than `threshold_ms`, newest first."""
        query = SlowQuerySerializer(data=request.query_params)
        scope = _scope(query, request)
        slow = statistics.jobs_slow(scope, threshold_ms=query.validated_data["threshold_ms"])
        keys: Any = self.paginate_queryset(slow)
        jobs = statistics.jobs_in_order([key["id"] for key in keys])
        return self.get_paginated_response([owned_job_state(job) for job in jobs])


class FailedJobsView(generics.GenericAPIView[Job]):
    queryset = Job.objects.none()
    serializer_class = FailedJobSerializer
    filter_backends = (_NewestFirst,)
    moment = "finished_at"

    @extend_schema(
        operation_id="list_failed_jobs",
        parameters=[PagedQuerySerializer],
        responses=FailedJobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Jobs that failed in the period, the last first, with the reason and the end of the log."""
        scope = _scope(PagedQuerySerializer(data=request.query_params), request)
        keys: Any = self.paginate_queryset(statistics.jobs_failed(scope))
        jobs = statistics.jobs_in_order([key["id"] for key in keys])
        return self.get_paginated_response([failed_job_state(job) for job in jobs])


class VideoStatisticsView(APIView):
    @extend_schema(
        operation_id="get_video_statistics",
        parameters=[VideoQuerySerializer],
        responses=VideoStatisticsSerializer,
    )
    def get(self, request: Request, video_id: str) -> Response:
        """All that was done with a video, in total and for each type."""
        query = VideoQuerySerializer(data=request.query_params)
        scope = query.scope_for(viewer_of(request), video_id=video_id)
        return Response({**job_statistics(scope), "by_type": type_statistics(scope)["types"]})


def _scope(query: PeriodQuerySerializer | TimelineQuerySerializer, request: Request) -> Scope:
    return query.scope_for(viewer_of(request))
