"""Jobs and their steps: the queue of record, and the history for ever."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Now

import jobs.webhook_models  # noqa: F401 - Django looks for models in this module alone
from users.ids import PublicIdField
from users.models import Priority
from videos.models import Operation, Video

# A row's `seq` moves by this much with each write, which leaves room for progress messages in between
# that are sent without a write.
SEQ_STRIDE = 1000

STATISTICS_COLUMNS = (
    "type",
    "status",
    "attempt",
    "started_at",
    "duration_ms",
    "cpu_seconds",
    "operation",
)


class Job(models.Model):
    """One run of an operation, or the intake of an upload (`operation` is empty then).

    States::

        queued --a step was claimed--> active --last step published--> completed
          ^  |                          | |
          |  |<-- service fault, tries  | |--- content fault, or tries used up --> failed
          |  |    left (`run_after`) ---' |
          |  `---------- cancelled <------'

        queued, active --pause--> paused --resume--> active where a worker holds a step still, else queued
        paused --------> failed, cancelled; also completed, where the work ended as the pause arrived
        failed, cancelled --retry--> a new job of the same operation

    A paused job that had started keeps its worker: the tool is stopped (SIGSTOP), the lease goes on. Where
    the worker goes away meanwhile, the job stays paused and begins anew after it is resumed.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        ACTIVE = "active", "Running"
        PAUSED = "paused", "Paused"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    LIVE = (Status.QUEUED, Status.ACTIVE, Status.PAUSED)
    FINISHED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    INTAKE = "intake"

    id = PublicIdField(prefix="job", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs", db_index=False
    )
    video = models.ForeignKey(Video, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    operation = models.ForeignKey(
        Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    type = models.CharField(max_length=32, help_text="The operation's type, or intake")
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)
    plan = models.JSONField(null=True, blank=True, help_text="engine.types.Plan")
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    progress = models.FloatField(default=0, help_text="Per cent")
    speed = models.FloatField(null=True, blank=True, help_text="Seconds of video per second")
    eta_seconds = models.FloatField(null=True, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=4, help_text="The first try and three more")
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_fix = models.JSONField(null=True, blank=True, help_text="engine.fixes.Fix: what to ask for instead")
    log = models.TextField(blank=True, help_text="The last lines of the tools' output")
    # By PostgreSQL's clock, like every time in these tables: the machines of workers may disagree.
    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.BigIntegerField(null=True, blank=True)
    cpu_seconds = models.FloatField(default=0)
    run_after = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when, while it is paused")
    seq = models.BigIntegerField(default=SEQ_STRIDE)
    trace = models.JSONField(
        null=True,
        editable=False,
        help_text="Of the request that asked for it, for log lines and traces: request_id, traceparent",
    )

    class Meta:
        indexes: ClassVar = [
            # The jobs page and GET /jobs: one owner's jobs, newest first.
            models.Index(fields=["owner", "-id"], name="job_owner_newest"),
            # The snapshot of one owner's live jobs.
            models.Index(fields=["owner", "-id"], name="job_owner_live", condition=Q(finished_at=None)),
            # The cap of a tier: how many jobs of the owner run now.
            models.Index(fields=["owner"], name="job_owner_running", condition=Q(status="active")),
            # Recent failures, for the history and the admin.
            models.Index(fields=["-finished_at"], name="job_failed_recent", condition=Q(status="failed")),
            # The same of one owner.
            models.Index(
                fields=["owner", "-finished_at", "-id"], name="job_owner_failed", condition=Q(status="failed")
            ),
            # Statistics of one owner: figures, by type, per day, slow jobs. A row is wide (plan, log), so
            # the index carries all that they read.
            models.Index(
                fields=["owner", "queued_at", "id"], include=STATISTICS_COLUMNS, name="job_owner_queued"
            ),
            # The same of everybody, for staff.
            models.Index(fields=["queued_at", "id"], include=STATISTICS_COLUMNS, name="job_queued"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "active", "paused", "completed", "failed", "cancelled"]),
                name="job_status_known",
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0, progress__lte=100), name="job_progress_per_cent"
            ),
            models.CheckConstraint(condition=Q(priority__in=Priority.values), name="job_priority_known"),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "failed", "cancelled"], finished_at__isnull=False)
                | Q(status__in=["queued", "active", "paused"], finished_at=None),
                name="job_finished_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="failed") | ~Q(error_code=""), name="job_failed_says_why"
            ),
            models.CheckConstraint(
                condition=Q(status="paused", paused_at__isnull=False)
                | (~Q(status="paused") & Q(paused_at=None)),
                name="job_paused_has_time",
            ),
            # Two runs of one operation at once would be a second encode.
            models.UniqueConstraint(
                fields=["operation"], condition=Q(finished_at=None), name="job_one_live_per_operation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def is_finished(self) -> bool:
        return self.status in self.FINISHED


class Step(models.Model):
    """The unit a worker claims. The steps of a job form a small acyclic graph through `needs`.

    States::

        queued --claimed (lease, token)--> active --compare-and-swap on the token--> done
          ^-- lease ran out, handed back, or service fault --'|
                                   gave up, or the job ended  '--> failed / cancelled
        queued <--the job is paused, resumed--> paused

    The paused are a state of their own so that claims and places in the queue need not look at them. An
    active step stays active while its job is paused: its worker still holds it.

    `lease_token` is the fencing token: each claim makes a new one, and every later write of the worker
    names it, so a worker that lost its lease changes nothing.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        ACTIVE = "active", "Running"
        PAUSED = "paused", "Paused"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Lane(models.TextChoices):
        SHORT = "short", "Short"
        ENCODE = "encode", "Encode"

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps", db_index=False)
    # The job's, for the claim's index: it looks at one step of each owner instead of at every step.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    # Where it stands in its lane, within its priority. Taken from the numbers of the ids, so that it begins
    # in order of age; a bump deals the places of one owner's steps out anew.
    place = models.BigIntegerField(
        db_default=Func(Value("jobs_step_id_seq"), function="nextval", output_field=models.BigIntegerField()),
        editable=False,
    )
    kind = models.CharField(max_length=32)
    lane = models.CharField(max_length=8, choices=Lane)
    priority = models.PositiveSmallIntegerField(
        choices=Priority, help_text="The job's, for the claim's index"
    )
    needs = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    worker = models.CharField(max_length=100, blank=True)
    result = models.JSONField(null=True, blank=True)
    cpu_seconds = models.FloatField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            # The claim: who waits in this lane, and the best step of each.
            models.Index(
                fields=["lane", "owner", "priority", "place"],
                name="step_claimable",
                condition=Q(status="queued"),
            ),
            # The claim, for owners at their cap: intake runs all the same.
            models.Index(
                fields=["lane", "owner", "priority", "place"],
                name="step_intake_claimable",
                condition=Q(status="queued", kind="intake"),
            ),
            # A job's place in the queue.
            models.Index(
                fields=["lane", "priority", "place"], name="step_order", condition=Q(status="queued")
            ),
            # Monitoring: how long the oldest in a lane has waited.
            models.Index(fields=["lane", "id"], name="step_oldest", condition=Q(status="queued", needs=[])),
            # The cap of a tier: paused jobs of the owner that keep a worker.
            models.Index(fields=["owner"], name="step_owner_running", condition=Q(status="active")),
            # The reconciler: leases that ran out.
            models.Index(fields=["lease_until"], name="step_leased", condition=Q(status="active")),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "position"], name="step_position_once"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "active", "paused", "done", "failed", "cancelled"]),
                name="step_status_known",
            ),
            models.CheckConstraint(condition=Q(lane__in=["short", "encode"]), name="step_lane_known"),
            models.CheckConstraint(
                condition=Q(status="active", lease_until__isnull=False, lease_token__isnull=False)
                | (~Q(status="active") & Q(lease_until=None, lease_token=None)),
                name="step_active_is_leased",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.position} of {self.job_id}"
