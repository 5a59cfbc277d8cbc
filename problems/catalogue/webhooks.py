"""Problems of webhooks."""

from __future__ import annotations

from problems.kind import Kind

KINDS = (
    Kind(
        "webhook_limit_reached",
        409,
        "Too many webhooks",
        "There are {limit} webhooks already, and no more are allowed.",
        "Delete one that is not needed.",
    ),
    Kind(
        "webhook_is_off",
        409,
        "Webhook switched off",
        "The webhook is switched off, so nothing is sent to it.",
        "Switch it on first.",
    ),
)
