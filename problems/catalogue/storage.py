"""Problems of the storage behind the site."""

from __future__ import annotations

from problems.kind import Kind

KINDS = (
    Kind(
        "storage_unavailable",
        503,
        "Storage unavailable",
        "The storage that holds the files does not answer.",
        "Try again in a minute. If it stays so, tell the administrator.",
        retryable=True,
    ),
    Kind(
        "storage_damaged",
        500,
        "Storage damaged",
        "The storage gave back other bytes than were stored.",
        "Ask the administrator to check the storage.",
    ),
)
