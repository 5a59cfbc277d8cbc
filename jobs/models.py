"""Jobs and their steps, the queue of record; and the roll-ups of their history, which stay for ever."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Now

from jobs.eta_models import Pace
from jobs.queue_models import Limit, Turn, Usage
from jobs.site_models import SiteSettings, TierStorage
from jobs.webhook_models import Webhook, WebhookDelivery
from users.ids import PublicIdField
from users.models import Priority
from videos.models import Operation, Video

__all__ = [
    "SEQ_STRIDE", "Job", "Limit", "Pace", "SiteSettings", "Step", "TierStorage", "Turn", "Usage", "Webhook",
    "WebhookDelivery",
]  # fmt: skip

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
    "output_bytes",
)
# The default threshold of slow jobs, which have an index of their own.
SLOW_MS = 60_000


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
    eta_seconds = models.FloatField(null=True, blank=True, help_text="Left to its end, as of eta_at")
    eta_low = models.FloatField(null=True, editable=False, help_text="It probably takes at least so long")
    eta_high = models.FloatField(null=True, editable=False, help_text="It probably takes no longer")
    eta_at = models.DateTimeField(null=True, editable=False, help_text="When its worker said so")
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
    output_bytes = models.BigIntegerField(default=0, db_default=0, help_text="Size of the results it made")
    # For people: the claim looks at those of the steps.
    run_after = models.DateTimeField(
        null=True, blank=True, help_text="When the first of its steps is tried again"
    )
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
            # The same of one state, with a type or without. The type is last: it is looked at inside the
            # index, and the order by id stays.
            models.Index(fields=["owner", "status", "-id", "type"], name="job_owner_status"),
            # The same of one type.
            models.Index(fields=["owner", "type", "-id"], name="job_owner_type"),
            # The snapshot of one owner's live jobs.
            models.Index(fields=["owner", "-id"], name="job_owner_live", condition=Q(finished_at=None)),
            # The cap of a tier: how many jobs of the owner run now.
            models.Index(fields=["owner"], name="job_owner_running", condition=Q(status="active")),
            # Recent failures, for the history and the admin. The type is in it so that rare ones are found
            # without a look at each failure's wide row.
            models.Index(
                fields=["-finished_at", "-id"],
                include=("type",),
                name="job_failed_recent",
                condition=Q(status="failed"),
            ),
            # The same of one owner.
            models.Index(
                fields=["owner", "-finished_at", "-id"],
                include=("type",),
                name="job_owner_failed",
                condition=Q(status="failed"),
            ),
            # Slow jobs of everybody and of one owner, from the default threshold upwards: without it, a
            # walk over all jobs of a year to find a few.
            models.Index(
                fields=["-queued_at", "-id"],
                include=("type", "duration_ms"),
                name="job_slow",
                condition=Q(duration_ms__gt=SLOW_MS),
            ),
            models.Index(
                fields=["owner", "-queued_at", "-id"],
                include=("type", "duration_ms"),
                name="job_owner_slow",
                condition=Q(duration_ms__gt=SLOW_MS),
            ),
            # Statistics of one owner: figures, by type, per day, slow jobs. A row is wide (plan, log), so
            # the index carries all that they read.
            models.Index(
                fields=["owner", "queued_at", "id"], include=STATISTICS_COLUMNS, name="job_owner_queued"
            ),
            # The same of everybody, for staff.
            models.Index(fields=["queued_at", "id"], include=STATISTICS_COLUMNS, name="job_queued"),
            # The admin's list by state, newest first; completed ones are found soon enough by id.
            models.Index(fields=["status", "-id"], name="job_unsuccessful", condition=~Q(status="completed")),
            # The admin's list by type and by error code.
            models.Index(fields=["type", "-id"], name="job_type_newest"),
            models.Index(fields=["error_code", "-id"], name="job_error_newest", condition=Q(status="failed")),
            # The removal of old logs.
            models.Index(fields=["finished_at"], name="job_log_kept", condition=~Q(log="")),
        ]
        permissions: ClassVar = [
            ("cancel_job", "Can cancel any job"),
            ("retry_job", "Can run any job again"),
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
            models.CheckConstraint(condition=Q(output_bytes__gte=0), name="job_output_bytes_not_negative"),
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
        blocked --the last step it needs is done--> queued, or paused with its job

    The paused and the blocked are states of their own so that claims and places in the queue need not look at
    them. An active step stays active while its job is paused: its worker still holds it.

    `lease_token` is the fencing token: each claim makes a new one, and every later write of the worker
    names it, so a worker that lost its lease changes nothing.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        ACTIVE = "active", "Running"
        PAUSED = "paused", "Paused"
        BLOCKED = "blocked", "Waiting for other steps"
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
    # Its age, from the numbers of the ids.
    place = models.BigIntegerField(
        db_default=Func(Value("jobs_step_id_seq"), function="nextval", output_field=models.BigIntegerField()),
        editable=False,
    )
    # Where it stands among its owner's steps of the same lane and priority. It begins in order of age, with
    # wide gaps (a sequence of its own that counts in steps of 2^30), so that a move writes only what is
    # moved.
    rank = models.BigIntegerField(
        db_default=Func(
            Value("jobs_step_rank_seq"), function="nextval", output_field=models.BigIntegerField()
        ),
        editable=False,
    )
    kind = models.CharField(max_length=32)
    type = models.CharField(
        max_length=32, default="", db_default="", blank=True, help_text="The job's, for the claim's index"
    )
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
    threads = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Of the processor, as its last claim granted them"
    )
    run_after = models.DateTimeField(null=True, blank=True, help_text="Not tried again before this time")
    result = models.JSONField(null=True, blank=True)
    weight = models.FloatField(default=1, db_default=1, help_text="Its share of the job's work")
    fraction = models.FloatField(default=0, db_default=0, help_text="How much of it is done, 0 to 1")
    pace = models.FloatField(null=True, blank=True, help_text="Weight done in a second, while it runs")
    cpu_seconds = models.FloatField(default=0)
    # See jobs.eta_work.
    cost_key = models.CharField(max_length=160, blank=True, default="", db_default="", editable=False)
    work = models.FloatField(default=0, db_default=0, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            # The claim: who waits in this lane for what, and the best step of each.
            models.Index(
                fields=["lane", "owner", "priority", "type", "rank", "place"],
                name="step_claimable",
                condition=Q(status="queued"),
            ),
            # An owner's order, whatever the type: neighbours of a job that is moved.
            models.Index(
                fields=["owner", "lane", "priority", "rank", "place"],
                name="step_own_order",
                condition=Q(status="queued"),
            ),
            # The claim: since when an owner has waited.
            models.Index(
                fields=["lane", "owner", "priority", "place"],
                name="step_eldest",
                condition=Q(status="queued"),
            ),
            # The admin's figure of what has waited longest.
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
                condition=Q(
                    status__in=["queued", "active", "paused", "blocked", "done", "failed", "cancelled"]
                ),
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


class Rollup(models.Model):
    """The jobs of one type that one owner asked for on one day, in one month or in one quarter, added up.
    Without an owner it is those of everybody, who also have dekads: ten days, or what is left of the month.
    `jobs.rollups` makes them.

    `part` 0 is counted from rows of jobs and counted anew when one of them changes. The other parts are of
    rows that the clean-up has removed; nothing changes them any more. What is longer is the sum of all parts.

    The spread of durations and waits is a histogram: `counts[i]` of them are in bucket `buckets[i]` of
    `jobs.figures`.
    """

    class Grain(models.TextChoices):
        DAY = "day", "Day"
        DEKAD = "dekad", "Dekad"
        MONTH = "month", "Month"
        QUARTER = "quarter", "Quarter"

    id = models.BigAutoField(primary_key=True)
    grain = models.CharField(max_length=7, choices=Grain)
    start = models.DateField(help_text="The day in UTC; of a longer time its first")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    type = models.CharField(max_length=32)
    part = models.PositiveSmallIntegerField()
    queued = models.IntegerField()
    active = models.IntegerField()
    paused = models.IntegerField()
    completed = models.IntegerField()
    failed = models.IntegerField()
    cancelled = models.IntegerField()
    retries = models.BigIntegerField()
    cpu_seconds = models.FloatField()
    output_bytes = models.BigIntegerField()
    longest_ms = models.BigIntegerField(null=True, help_text="Of all that ended, for the slow ones")
    duration_count = models.IntegerField()
    duration_sum = models.FloatField()
    duration_min = models.FloatField(null=True)
    duration_max = models.FloatField(null=True)
    duration_buckets = ArrayField(models.SmallIntegerField())
    duration_counts = ArrayField(models.IntegerField())
    queue_count = models.IntegerField()
    queue_sum = models.FloatField()
    queue_min = models.FloatField(null=True)
    queue_max = models.FloatField(null=True)
    queue_buckets = ArrayField(models.SmallIntegerField())
    queue_counts = ArrayField(models.IntegerField())

    class Meta:
        indexes: ClassVar = [
            # Recounts: everything of a time. Days are written in their order, so this is small.
            BrinIndex(fields=["start"], name="rollup_start", pages_per_range=16),
        ]
        constraints: ClassVar = [
            # Also serves every figure: one owner's, or everybody's, days, months and so on in order.
            models.UniqueConstraint(
                fields=["owner", "grain", "start", "type", "part"],
                name="rollup_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(grain__in=["day", "dekad", "month", "quarter"]), name="rollup_grain_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.grain} {self.start}"


class RollupTouch(models.Model):
    """A past day in which a job of this owner has changed. Written by triggers, in the transaction of the
    change, so that no way of changing a job can forget it."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField(db_index=True)
    # No foreign key: the touch of a deleted account's jobs outlives the account.
    owner_id = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.day}"


class RollupProgress(models.Model):
    """One row: all days before `through` are rolled up."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    through = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="rollup_progress_is_one"),
        ]

    def __str__(self) -> str:
        return f"before {self.through}"
