"""What an export holds: which tables, which columns, and how a row looks as JSON.

PostgreSQL itself writes and reads the rows, so that every value comes back as it was. Ids have the form that
the API shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import CASCADE, Field, ForeignKey, Model

from jobs.models import Job, Limit, Pace, Rollup, RollupProgress, RollupTouch, Step, Turn, Usage
from jobs.site_models import SiteSettings, TierStorage
from jobs.webhook_models import Webhook, WebhookDelivery
from users.ids import PublicIdField
from users.models import ApiToken, IdempotencyKey, SocketTicket, Tier, User
from videoproc.legacy.models import LegacyRecord
from videos.models import (
    Asset,
    HoldingChange,
    Operation,
    Output,
    Preset,
    Reservation,
    ShareLink,
    ShareVisit,
    ShippedPreset,
    StorageChange,
    Upload,
    UrlImport,
    Video,
)

# What runs now begins anew elsewhere: its scratch stays behind, and nobody there holds its lease.
_LIVE = "(SELECT j.status FROM jobs_job j WHERE j.id = t.job_id AND j.finished_at IS NULL)"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of an export.

    `omit` are columns that stay behind or are given anew; `instead` are SQL expressions that take the place
    of a column's value; `order` makes equal tables equal files. Rows of a table that is not `restored` are
    for people to read.
    """

    model: type[Model]
    order: str = "t.id"
    omit: frozenset[str] = frozenset()
    instead: Mapping[str, str] = field(default_factory=dict)
    restored: bool = True

    @property
    def name(self) -> str:
        return str(self.model._meta.db_table)  # noqa: SLF001 - Django documents it

    @property
    def filename(self) -> str:
        return f"{self.model._meta.verbose_name_plural}.jsonl".replace(" ", "_")  # noqa: SLF001 - the same

    def fields(self) -> list[Field[object, object]]:
        columns = self.model._meta.concrete_fields  # noqa: SLF001 - the same
        return [column for column in columns if column.column not in self.omit]

    def columns(self) -> list[str]:
        return [str(column.column) for column in self.fields()]

    def ids(self) -> dict[str, str]:
        """The columns that hold public ids, with their prefix."""
        found = {}
        for column in self.fields():
            target = column.target_field if isinstance(column, ForeignKey) else column
            if isinstance(target, PublicIdField):
                found[str(column.column)] = target.prefix
        return found

    def references(self) -> Iterator[tuple[str, str, str, bool, bool]]:
        """Column, table and column referred to, whether it may be empty, and whether rows are left out that
        refer to what is not there, rather than their column emptied."""
        for column in self.fields():
            if isinstance(column, ForeignKey):
                target = column.target_field
                table = target.model._meta.db_table  # noqa: SLF001 - the same
                goes = not column.null or column.remote_field.on_delete is CASCADE
                yield str(column.column), table, str(target.column), column.null, goes

    def select(self) -> str:
        """SQL for every row as one line of JSON, in order."""
        ids, quote = self.ids(), connection.ops.quote_name
        parts = []
        for name in self.columns():
            value = self.instead.get(name, f"t.{quote(name)}")
            if name in ids:
                value = f"'{ids[name]}_' || replace({value}::text, '-', '')"
            parts.append(f"{value} AS {quote(name)}")
        return (
            f"SELECT row_to_json(r)::text FROM (SELECT {', '.join(parts)} "  # noqa: S608 - names of our own
            f"FROM {quote(self.name)} t ORDER BY {self.order}) r"
        )


TABLES = (
    Table(Tier, order="t.name"),
    Table(User),
    Table(Preset),
    Table(ShippedPreset, order="t.key"),
    # Only their digests are known here, and those are secrets too: programs need new ones.
    Table(ApiToken, omit=frozenset({"digest"}), order="t.public_id", restored=False),
    Table(Video),
    Table(Operation, instead={"status": "CASE t.status WHEN 'processing' THEN 'pending' ELSE t.status END"}),
    Table(Output),
    Table(Asset),
    # Their addresses lead to the new site once its name does.
    Table(ShareLink),
    Table(
        Job,
        instead={
            "status": "CASE t.status WHEN 'active' THEN 'queued' ELSE t.status END",
            "progress": "CASE WHEN t.finished_at IS NULL THEN 0 ELSE t.progress END",
            "speed": "CASE WHEN t.finished_at IS NOT NULL THEN t.speed END",
            **{
                name: f"CASE WHEN t.finished_at IS NOT NULL THEN t.{name} END"
                for name in ("eta_seconds", "eta_low", "eta_high", "eta_at")
            },
        },
    ),
    Table(
        Step,
        # Given anew in this order, which is that of their ranks: an owner's own order is kept.
        omit=frozenset({"id", "place", "rank"}),
        order="t.rank, t.place, t.job_id, t.position",
        instead={
            "status": f"CASE {_LIVE} WHEN 'paused' THEN 'paused' WHEN 'queued' THEN 'queued' "
            "WHEN 'active' THEN 'queued' ELSE t.status END",
            "fraction": f"CASE WHEN {_LIVE} IS NULL THEN t.fraction ELSE 0 END",
            "pace": f"CASE WHEN {_LIVE} IS NULL THEN t.pace END",
            "lease_until": "NULL::timestamptz",
            "lease_token": "NULL::uuid",
            "worker": f"CASE WHEN {_LIVE} IS NULL THEN t.worker ELSE '' END",
            "result": f"CASE WHEN {_LIVE} IS NULL THEN t.result END",
            "started_at": f"CASE WHEN {_LIVE} IS NULL THEN t.started_at END",
            "finished_at": f"CASE WHEN {_LIVE} IS NULL THEN t.finished_at END",
        },
    ),
    # Sums of rows that are here are made anew; those of rows that were cleaned up are nowhere else.
    Table(Rollup, omit=frozenset({"id"}), order="t.grain, t.start, t.owner_id NULLS FIRST, t.type, t.part"),
    # Without their secrets: the new site makes its own, and this one may go on sending for a while.
    Table(
        Webhook,
        omit=frozenset({"secret", "former_secret", "former_secret_until", "lease_until", "lease_token"}),
        restored=False,
    ),
    Table(SiteSettings),
    Table(Limit, omit=frozenset({"id"}), order="t.tier_id NULLS FIRST, t.type"),
    Table(LegacyRecord, omit=frozenset({"id"}), order="t.kind, t.key"),
)

# Tables of our own rooms that stay behind, and why.
LEFT_OUT: Mapping[type[Model], str] = {
    SocketTicket: "lives for seconds",
    IdempotencyKey: "belongs to requests to this site",
    Upload: "is not complete; its owner sends it to the new site",
    UrlImport: "belongs to uploads, which stay behind",
    RollupTouch: "comes with the jobs: triggers write it",
    RollupProgress: "the new site sums up all days itself",
    WebhookDelivery: "is the log of webhooks, which are made anew",
    TierStorage: "is counted anew every hour",
    ShareVisit: "is the log of visitors to this site",
    Reservation: "is held anew when a job is asked for",
    Turn: "is about waiting on this site",
    Usage: "is about the processors of this site, and half of it is forgotten in an hour",
    Pace: "is about this machine; the next one learns its own",
    HoldingChange: "comes with videos, operations and results: triggers write it",
    StorageChange: "comes with videos and results: triggers write it",
}
