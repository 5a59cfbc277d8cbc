"""Starting work: operations, intake of uploads, retries. Jobs that live are steered in `steering`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction

from engine import catalogue
from engine.fixes import Fix, fix_for
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from jobs import transitions
from jobs.dividing import divided
from jobs.eta import plan_seconds
from jobs.models import Job
from jobs.selectors import job_get_for
from problems import Problem
from users.models import Priority, User
from videos import storage
from videos.crash_points import crash_point
from videos.models import Operation, Upload, Video
from videos.selectors import others_held, video_get_for
from videos.services.operations import operation_get_or_create, operation_status_set
from videos.services.reservations import operation_hold
from videos.services.uploads import upload_advance, upload_create
from videos.services.videos import upload_bytes_keep, video_create_from_upload, video_intake_restart


class Submission(NamedTuple):
    """What a request for an operation led to. `job` is None only for a result that was imported."""

    operation: Operation
    job: Job | None
    created: bool


class _Request(NamedTuple):
    """A request that fits its video."""

    parameters: dict[str, Any]
    fingerprint: str
    plan: Plan
    media: MediaInfo


def operation_plan(*, viewer: User, video_id: str, type: str, parameters: Mapping[str, Any]) -> Plan:  # noqa: A002 - the API's word
    """What would be done, without doing it. Raises the Problems of `operation_submit`.

    Its time is what this server has learned of such work, for an idle site; None until it has.
    """
    request = _request(video_get_for(viewer, video_id), type, parameters)
    left = plan_seconds(divided(request.plan, request.media), request.media, type)
    seconds = None if left is None else round(left.seconds, 1)
    between = None if left is None else (round(left.low, 1), round(left.high, 1))
    return request.plan.model_copy(update={"estimated_seconds": seconds, "estimated_between": between})


def operation_submit(
    *,
    viewer: User,
    video_id: str,
    type: str,  # noqa: A002 - the API's word
    parameters: Mapping[str, Any],
    priority: int | None = None,
) -> Submission:
    """Starts an operation, or finds the equal one that runs or has succeeded (`created` is False then).

    An equal one that failed or was cancelled runs again. `priority` may lower what the owner's tier
    grants and never exceeds it. Raises Problem not_found, video_not_ready, video_failed,
    unknown_operation, invalid_parameters, parameters_do_not_fit, quota_exceeded or storage_full.
    """
    video = video_get_for(viewer, video_id)
    request = _request(video, type, parameters)
    with transaction.atomic():
        operation, _ = operation_get_or_create(
            video=video, type=type, parameters=request.parameters, fingerprint=request.fingerprint
        )
        return _operation_start(operation, video, request, priority)


def _operation_start(
    operation: Operation, video: Video, request: _Request, priority: int | None, *, lane: str | None = None
) -> Submission:
    """Needs the lock on the operation's row: equal requests, and a job that just ends, wait for it."""
    latest = Job.objects.filter(operation=operation).order_by("-id").first()
    live = latest is not None and not latest.is_finished
    if live or operation.status == Operation.Status.COMPLETED:
        return Submission(operation, latest, created=False)
    if operation.status != Operation.Status.PENDING:
        operation_status_set(operation_id=operation.id, status=Operation.Status.PENDING)
        operation.refresh_from_db()
    # Where it does not fit, nothing is started: the transaction takes the operation's row back too.
    operation_hold(operation=operation, expected=request.plan.estimated_size or request.media.size)
    job = transitions.job_create(
        video=video,
        operation=operation,
        priority=_priority(video.owner, priority),
        plan=divided(request.plan, request.media),
        lane=lane,
    )
    return Submission(operation, job, created=True)


def _request(video: Video, type_: str, raw: Mapping[str, Any]) -> _Request:
    if video.status == Video.Status.PROCESSING:
        raise Problem("video_not_ready")
    if video.status == Video.Status.FAILED:
        raise Problem("video_failed")
    parameters = catalogue.parameters_for(type_, dict(raw))
    normalised = catalogue.normalised(parameters)
    media = MediaInfo.model_validate(video.media_info)
    others = others_held(owner=video.owner, ids=catalogue.others_for(type_, parameters))
    try:
        plan = catalogue.plan_for(type_, parameters, media, others)
    except Problem as problem:
        fix = fix_for(problem, type_, normalised, media, others)
        if fix is None:
            raise
        raise Problem(problem.code, **problem.data, fix=fix.model_dump(mode="json")) from problem
    return _Request(normalised, catalogue.fingerprint(type_, parameters), plan, media)


def _priority(owner: User, asked: int | None) -> int:
    granted = owner.tier.priority
    return granted if asked is None else max(granted, Priority(asked))


def upload_finish(*, upload_id: str) -> Video:
    """Makes the video of a complete upload and queues its intake; asking again gives the same video.

    Raises Problem upload_gone, upload_offset_conflict where bytes are missing, or source_missing.
    """
    upload_bytes_keep(upload_id)
    with transaction.atomic():
        upload = Upload.objects.filter(id=upload_id).first()
        if upload is None:
            raise Problem("upload_gone")
        video = video_create_from_upload(upload=upload)
        if not Job.objects.filter(video=video, type=Job.INTAKE).exists():
            _intake_start(video)
        transaction.on_commit(lambda: crash_point("video_made"))
        return video


def sample_submit(*, viewer: User, clip: Path, title: str = "Sample clip") -> Video:
    """Puts a clip of ours among the viewer's videos, as if it had been uploaded.

    Raises the Problems of an upload: upload_too_large, quota_exceeded, storage_full.
    """
    content = clip.read_bytes()
    upload = upload_create(owner=viewer, length=len(content), filename=clip.name, title=title)
    with storage.upload_path(upload.id).open("r+b") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    upload_advance(upload=upload, from_offset=0, to_offset=len(content))
    return upload_finish(upload_id=upload.id)


def _intake_start(video: Video, lane: str | None = None) -> Job:
    return transitions.job_create(
        video=video, operation=None, priority=_priority(video.owner, None), plan=None, lane=lane
    )


def job_retry(*, viewer: User, job_id: str) -> Job:
    """Runs a failed or cancelled job again, as a new job that is returned.

    Raises Problem not_found, or job_state_conflict where the job did not fail or its operation has run
    again since, or the Problems of `operation_submit` where the video does not allow it any more.
    """
    return job_retry_any(job_id=job_get_for(viewer, job_id).id)


def job_retry_any(*, job_id: str, lane: str | None = None) -> Job:
    """`job_retry` for staff, whoever owns the job. With `lane`, all its steps wait in that one."""
    job = Job.objects.select_related("operation", "video__owner__tier").get(id=job_id)
    if job.status not in {Job.Status.FAILED, Job.Status.CANCELLED}:
        raise Problem("job_state_conflict", status=job.status, action="retried")
    if job.video is None or job.video.deleted_at is not None:
        raise Problem("not_found")
    if job.type == Job.INTAKE:
        return _intake_retry(job.video, lane)
    if job.operation is None:
        raise Problem("not_found")
    request = _request(job.video, job.operation.type, job.operation.parameters)
    with transaction.atomic():
        operation = Operation.objects.select_for_update().get(id=job.operation.id)
        submission = _operation_start(operation, job.video, request, job.priority, lane=lane)
    if not submission.created or submission.job is None:
        raise Problem("job_state_conflict", status="already run again", action="retried")
    return submission.job


def job_fix(*, viewer: User, job_id: str) -> Submission:
    """Starts what a failed job proposes instead of itself.

    Raises Problem not_found, job_state_conflict where it proposes nothing, or those of `operation_submit`.
    """
    job = job_get_for(viewer, job_id)
    if job.video_id is None or job.error_fix is None or job.status != Job.Status.FAILED:
        raise Problem("job_state_conflict", status=job.status, action="fixed")
    fix = Fix.model_validate(job.error_fix)
    return operation_submit(
        viewer=viewer, video_id=job.video_id, type=fix.type, parameters=fix.parameters, priority=job.priority
    )


def video_inspect_any(*, video_id: str) -> Job:
    """Inspects a video again whose intake failed by our fault, for staff.

    Raises Problem not_found, or conflict where it is not such a video.
    """
    video = Video.objects.select_related("owner__tier").filter(id=video_id, deleted_at=None).first()
    if video is None:
        raise Problem("not_found")
    if video.status != Video.Status.FAILED or not video.has_bytes:
        raise Problem("conflict")
    return _intake_retry(video, None)


def _intake_retry(video: Video, lane: str | None) -> Job:
    with transaction.atomic():
        if not video_intake_restart(video_id=video.id):
            raise Problem("job_state_conflict", status="refused for its file", action="retried")
        return _intake_start(video, lane)
