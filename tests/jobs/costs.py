"""What a claim costs PostgreSQL, in pages looked at: unlike seconds, that is the same on a busy machine."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.db import connection

from jobs.claiming import step_claim


def claim_and_pages(lane: str = "encode") -> tuple[str | None, int]:
    """Claims a step; the id of its job, and how many pages all its statements looked at."""
    pages = 0

    def explained(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal pages
        if sql.lstrip().startswith("WITH RECURSIVE"):
            # What it wrote is undone: the statement itself comes afterwards.
            cursor = context["cursor"].cursor
            if connection.in_atomic_block:
                cursor.execute("SAVEPOINT explained")
            execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params, many, context)
            plan = context["cursor"].fetchone()[0][0]["Plan"]
            pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            if connection.in_atomic_block:
                cursor.execute("ROLLBACK TO SAVEPOINT explained")
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(explained))
        taken = step_claim(lane=lane, worker="here/1")
    return (None if taken is None else taken.job.id), pages
