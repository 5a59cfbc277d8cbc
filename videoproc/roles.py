"""The two groups of staff that every site has, with exactly these rights; see docs/administration.md.

They are set again after each migration, so a right that is added by hand in the admin does not last: make a
group of your own for that.
"""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

# By application and model; the words are those of Django's permissions (`view_job`).
_SEEN = {
    "users": ("user", "tier"),
    "videos": ("video", "upload", "operation", "output", "asset", "preset"),
    "jobs": ("job", "step", "tierstorage", "webhook", "webhookdelivery"),
}
SUPPORT = frozenset(
    {f"{app}.view_{model}" for app, models in _SEEN.items() for model in models}
    | {"jobs.cancel_job", "jobs.retry_job"}
)
OPERATOR = SUPPORT | {
    "users.add_user",
    "users.change_user",
    "users.delete_user",
    "users.change_tier",
    "users.view_apitoken",
    "users.delete_apitoken",
    "usersessions.view_usersession",
    "usersessions.delete_usersession",
    "videos.change_video",
    "videos.change_upload",
    "videos.delete_asset",
    "videos.add_preset",
    "videos.change_preset",
    "videos.delete_preset",
    "jobs.change_job",
    "jobs.change_webhook",
    "jobs.view_sitesettings",
    "jobs.change_sitesettings",
    "jobs.view_limit",
    "jobs.add_limit",
    "jobs.change_limit",
    "jobs.delete_limit",
    "admin.view_logentry",
    "django_celery_results.view_taskresult",
}
ROLES = {"Support": SUPPORT, "Operator": OPERATOR}


def roles_ensure(*, using: str) -> None:
    """Makes the groups where they are missing and gives them their rights, no more and no less."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    for name, rights in ROLES.items():
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set(known[right] for right in rights if right in known)


def after_migrate(*, sender: AppConfig, using: str, **_: object) -> None:
    """Receiver of `post_migrate`; by the turn of `jobs` the permissions are there."""
    roles_ensure(using=using)
