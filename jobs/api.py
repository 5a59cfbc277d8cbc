"""Endpoints of operations and jobs. Each makes one call into the domain and puts it into JSON."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, permissions, renderers, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import selectors, services, steering
from jobs.eta import queue_end
from jobs.events import queue_state
from jobs.filters import JobFilter
from jobs.models import Job
from jobs.selectors import OperationWithJob
from jobs.serializers import (
    CancelledSerializer,
    JobMoveSerializer,
    JobSerializer,
    OperationCreateSerializer,
    OperationSerializer,
    PlanSerializer,
    QueueSerializer,
    SocketTicketSerializer,
    operations_as_json,
)
from jobs.waiting import WAIT_MAX_SECONDS, job_wait
from problems import FieldError, Problem
from users.services import TICKET_LIFETIME, socket_ticket_create
from users.viewer import viewer_of
from videos.models import Operation, Video
from videos.preset_selectors import preset_usable_for
from videos.selectors import operation_find, operation_get_for, operations_of, video_get_for

_PLAN = OpenApiParameter("plan", bool, description="Only say what would be done.")
_WAIT = OpenApiParameter(
    "wait",
    int,
    description=f"Answer when the job has ended, or after so many seconds; at most {WAIT_MAX_SECONDS}.",
)


_TYPE = OpenApiParameter("type", str, description="Only operations of this type.")
_SAME = OpenApiParameter(
    "parameters",
    str,
    description="With `type`: a JSON object. Only the operation that is equal to a request with these, "
    "however they are written.",
)


class VideoOperationsView(generics.GenericAPIView[Operation]):
    serializer_class = OperationSerializer
    filter_backends = ()

    @extend_schema(
        operation_id="list_operations", parameters=[_TYPE, _SAME], responses=OperationSerializer(many=True)
    )
    def get(self, request: Request, video_id: str) -> Response:
        """What was asked for on a video, newest first, each with its latest job and its results."""
        video = video_get_for(viewer_of(request), video_id)
        page = self.paginate_queryset(_narrowed(operations_of(video), video, request)) or []
        return self.get_paginated_response(_operations(selectors.with_latest_jobs(page), request))

    @extend_schema(
        operation_id="create_operation",
        request=OperationCreateSerializer,
        parameters=[_PLAN],
        responses={
            202: OperationSerializer,
            200: OpenApiResponse(
                OperationSerializer, description="An equal one is there already. With ?plan=true: the plan."
            ),
        },
    )
    def post(self, request: Request, video_id: str) -> Response:
        """Ask for an operation. Asking for the same again gives the same operation and no second run."""
        body, viewer = _body(request), viewer_of(request)
        wish: dict[str, Any] = {"viewer": viewer, "video_id": video_id}
        if preset_id := body.validated_data.get("preset"):
            preset = preset_usable_for(viewer, preset_id)
            wish |= {"type": preset.type, "parameters": preset.parameters}
        else:
            wish |= {name: body.validated_data[name] for name in ("type", "parameters")}
        if _flag(request, "plan"):
            return Response(PlanSerializer(services.operation_plan(**wish)).data)
        made = services.operation_submit(**wish, priority=body.priority_value)
        found = [OperationWithJob(made.operation, made.job)]
        code = status.HTTP_202_ACCEPTED if made.created else status.HTTP_200_OK
        return Response(_operations(found, request)[0], status=code)


class OperationView(APIView):
    @extend_schema(operation_id="get_operation", responses=OperationSerializer)
    def get(self, request: Request, operation_id: str) -> Response:
        operation = operation_get_for(viewer_of(request), operation_id)
        return Response(_operations([selectors.operation_with_latest_job(operation)], request)[0])


class JobsView(generics.ListAPIView[Job]):
    """Jobs, newest first. The inspections of uploads are listed with `type=intake` only."""

    queryset = Job.objects.none()  # for the schema; each viewer has another one
    serializer_class = JobSerializer
    filterset_class = JobFilter

    def get_queryset(self) -> QuerySet[Job]:
        return selectors.jobs_for(viewer_of(self.request), intake=True)

    @extend_schema(operation_id="list_jobs")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(selectors.job_states(page or []))


class JobView(APIView):
    @extend_schema(operation_id="get_job", parameters=[_WAIT], responses=JobSerializer)
    def get(self, request: Request, job_id: str) -> Response:
        viewer, seconds = viewer_of(request), _wait_seconds(request)
        job = selectors.job_get_for(viewer, job_id)
        if seconds and not job.is_finished:
            job_wait(job_id=job.id, seconds=seconds)
            job = selectors.job_get_for(viewer, job_id)
        return _job(job)


class PlainTextRenderer(renderers.JSONRenderer):
    """Lets a client ask for text/plain, which the view writes itself; problems stay JSON."""

    media_type = "text/plain"
    format = "txt"


class JobLogView(APIView):
    renderer_classes = (PlainTextRenderer, renderers.JSONRenderer)

    @extend_schema(operation_id="get_job_log", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, job_id: str) -> HttpResponse:
        """The last lines that the tools wrote, as text."""
        job = selectors.job_get_for(viewer_of(request), job_id)
        return HttpResponse(
            job.log, content_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"}
        )


class QueueView(APIView):
    @extend_schema(operation_id="get_queue", responses=QueueSerializer)
    def get(self, request: Request) -> Response:
        """How much work the whole site has, and when it is expected to be done."""
        return Response(queue_state(queue_end()))


class JobCancelView(APIView):
    @extend_schema(operation_id="cancel_job", request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """End a job that waits, runs or is paused. Nothing of it appears afterwards."""
        return _job(steering.job_cancel(viewer=viewer_of(request), job_id=job_id))


class JobPauseView(APIView):
    @extend_schema(operation_id="pause_job", request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """Hold back a waiting job, or hold a running one still with all it has done so far."""
        return _job(steering.job_pause(viewer=viewer_of(request), job_id=job_id))


class JobResumeView(APIView):
    @extend_schema(operation_id="resume_job", request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """Let a paused job go on where it stood, or wait again at the place it had."""
        return _job(steering.job_resume(viewer=viewer_of(request), job_id=job_id))


class JobBumpView(APIView):
    @extend_schema(operation_id="bump_job", request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """Put a waiting job before your others of the same priority. Nobody else's job moves."""
        return _job(steering.job_bump(viewer=viewer_of(request), job_id=job_id))


class JobMoveView(APIView):
    @extend_schema(operation_id="move_job", request=JobMoveSerializer, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """Put a waiting job right before or after another of yours that waits in the same line. Nobody else's
        job moves."""
        # Before the body is looked at: a stranger learns nothing of it.
        selectors.job_get_for(viewer_of(request), job_id)
        body = JobMoveSerializer(data=_object(request))
        body.is_valid(raise_exception=True)
        ((side, beside),) = body.validated_data.items()
        moved = steering.job_reorder(
            viewer=viewer_of(request), job_id=job_id, beside=beside, before=side == "before"
        )
        return _job(moved)


class JobsCancelView(APIView):
    @extend_schema(operation_id="cancel_all_jobs", request=None, responses=CancelledSerializer)
    def post(self, request: Request) -> Response:
        """End all your jobs that wait, run or are paused."""
        count = steering.jobs_cancel_all(viewer=viewer_of(request))
        return Response(CancelledSerializer({"cancelled": count}).data)


class JobRetryView(APIView):
    @extend_schema(operation_id="retry_job", request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        """Run a failed or cancelled job again. The answer is the new job."""
        return _job(services.job_retry(viewer=viewer_of(request), job_id=job_id))


class SocketTicketView(APIView):
    # A ticket only lets its holder watch, so a read-only token may have one.
    permission_classes = (permissions.IsAuthenticated,)

    @extend_schema(operation_id="create_ws_ticket", request=None, responses={201: SocketTicketSerializer})
    def post(self, request: Request) -> Response:
        """A pass for one WebSocket, for programs that cannot send a cookie or a header with it."""
        ticket = socket_ticket_create(user=viewer_of(request))
        data = {"ticket": ticket, "expires_in": int(TICKET_LIFETIME.total_seconds())}
        return Response(
            SocketTicketSerializer(data).data,
            status=status.HTTP_201_CREATED,
            headers={"Cache-Control": "no-store"},  # good once; a repeated request must ask for a new one
        )


def _job(job: Job) -> Response:
    return Response(selectors.job_states([job])[0])


def _operations(found: list[OperationWithJob], request: Request) -> list[dict[str, Any]]:
    states = selectors.job_states(one.job for one in found if one.job is not None)
    by_id = {state["id"]: state for state in states}
    return operations_as_json(found, states=by_id, context={"request": request})


def _object(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Problem("malformed_body", reason="a JSON object is expected")
    return request.data


def _body(request: Request) -> OperationCreateSerializer:
    body = OperationCreateSerializer(data=_object(request))
    body.is_valid(raise_exception=True)
    return body


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"1", "true", "yes"}


def _wait_seconds(request: Request) -> int:
    try:
        field = serializers.IntegerField(min_value=0, max_value=WAIT_MAX_SECONDS)
        return int(field.run_validation(request.query_params.get("wait", "0")))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"wait": error.detail}) from error


def _narrowed(operations: QuerySet[Operation], video: Video, request: Request) -> QuerySet[Operation]:
    """Only those that `?type=` and `?parameters=` ask for."""
    type_, text = request.query_params.get("type"), request.query_params.get("parameters")
    if text is None:
        return operations if type_ is None else operations.filter(type=type_)
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if type_ is None or not isinstance(parameters, dict):
        detail = "Give a type, and its parameters as a JSON object."
        raise Problem("invalid_request", errors=[FieldError("/parameters", "invalid", detail)])
    found = operation_find(video, type_, parameters)
    return operations.filter(pk=found.pk) if found else operations.none()
