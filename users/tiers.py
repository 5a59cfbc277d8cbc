"""What each tier grants on a fresh site. An administrator may change the rows afterwards."""

from __future__ import annotations

from django.apps import AppConfig

from users.models import GIB, Priority, Tier

DEFAULTS: dict[str, dict[str, int]] = {
    Tier.Name.FREE: {
        "storage_bytes": 10 * GIB,
        "max_file_bytes": 10 * GIB,
        "concurrent_jobs": 2,
        "priority": Priority.LOW,
    },
    Tier.Name.PRO: {
        "storage_bytes": 200 * GIB,
        "max_file_bytes": 50 * GIB,
        "concurrent_jobs": 5,
        "priority": Priority.NORMAL,
    },
    Tier.Name.ENTERPRISE: {
        "storage_bytes": 2048 * GIB,
        "max_file_bytes": 500 * GIB,
        "concurrent_jobs": 20,
        "priority": Priority.HIGH,
    },
}


def tiers_ensure(*, using: str) -> None:
    """Add the rows that are missing; those that exist keep what an administrator set."""
    Tier.objects.using(using).bulk_create(
        [Tier(name=name, **grants) for name, grants in DEFAULTS.items()], ignore_conflicts=True
    )


def after_migrate(*, sender: AppConfig, using: str, **_: object) -> None:
    """Receiver of `post_migrate`, which also follows a `flush`: accounts cannot exist without tiers."""
    if sender.label == "users":
        tiers_ensure(using=using)
