"""Accounts, their tiers and their API tokens.

Browser sessions are Django's own, listed through allauth's `usersessions`.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinLengthValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower
from knox.models import AbstractAuthToken

from users.ids import PublicIdField

GIB = 1024**3
_DAYS_MAX = 36_500


class Priority(models.IntegerChoices):
    """Order in which jobs are claimed; lower goes first."""

    HIGH = 0, "high"
    NORMAL = 5, "normal"
    LOW = 9, "low"


def _days_kept(help_text: str) -> models.PositiveIntegerField[int | None, int | None]:
    return models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(_DAYS_MAX)],
        help_text=f"{help_text} Empty: as the site's settings say.",
    )


class Tier(models.Model):
    """What an account of this tier may use. The three rows come with the first migration."""

    class Name(models.TextChoices):
        FREE = "free", "Free"
        PRO = "pro", "Pro"
        ENTERPRISE = "enterprise", "Enterprise"

    name = models.CharField(max_length=16, primary_key=True, choices=Name)
    storage_bytes = models.BigIntegerField(validators=[MinValueValidator(0)])
    max_file_bytes = models.BigIntegerField(validators=[MinValueValidator(1)])
    concurrent_jobs = models.PositiveSmallIntegerField(validators=[MinValueValidator(1)])
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)
    original_days = _days_kept("Days after which a video with all its results moves to the trash.")
    result_days = _days_kept("Days after which a result goes. Its operation can be asked for again.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(name__in=["free", "pro", "enterprise"]), name="tier_name_known"
            ),
            models.CheckConstraint(condition=models.Q(concurrent_jobs__gte=1), name="tier_runs_something"),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="tier_priority_known"
            ),
        ]

    def __str__(self) -> str:
        return self.get_name_display()


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox has no types
    """A person or a program with an account. Name and address are unique whatever their case."""

    id = PublicIdField(prefix="usr", primary_key=True)
    # No "@": a name that looks like someone's address could be taken for it when signing in.
    username = models.CharField(
        max_length=150,
        unique=True,
        validators=[
            MinLengthValidator(2),
            RegexValidator(r"^[\w.+-]+\Z", "Use letters, digits and . + - _ only.", code="invalid_username"),
        ],
        error_messages={"unique": "This user name is taken."},
    )
    email = models.EmailField(max_length=254)
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, default=Tier.Name.FREE, related_name="users")
    # Where set, they replace what the tier grants.
    storage_bytes_override = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)])
    max_file_bytes_override = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    concurrent_jobs_override = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    limits_reason = models.CharField(
        max_length=300, blank=True, help_text="Why this account has limits of its own"
    )
    suspension_reason = models.CharField(
        max_length=300, blank=True, help_text="Why this account is suspended; for administrators only"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_unique",
                violation_error_code="username_taken",
                violation_error_message="This user name is taken.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_code="email_taken",
                violation_error_message="This e-mail address is taken.",
            ),
            models.CheckConstraint(condition=~models.Q(email=""), name="user_email_present"),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def storage_bytes_limit(self) -> int:
        own = self.storage_bytes_override
        return self.tier.storage_bytes if own is None else own

    @property
    def max_file_bytes_limit(self) -> int:
        own = self.max_file_bytes_override
        return self.tier.max_file_bytes if own is None else own

    @property
    def concurrent_jobs_limit(self) -> int:
        own = self.concurrent_jobs_override
        return self.tier.concurrent_jobs if own is None else own


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """A named, expiring token of a program. Only its digest is stored; the text is shown once."""

    class Scope(models.TextChoices):
        READ = "read", "Read only"
        WRITE = "write", "Read and write"

    public_id = PublicIdField(prefix="tok", unique=True)
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.WRITE)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(scope__in=["read", "write"]), name="token_scope_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"


class SocketTicket(models.Model):
    """A pass for one WebSocket: used once, within seconds. Only its digest is stored."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="socket_tickets")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at:%H:%M:%S}"


class IdempotencyKey(models.Model):
    """A POST that its caller named, so that it can be repeated: running while `status` is empty, then the
    reply. See `users.idempotency`."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="Keyed digest of method, address and body")
    token = models.UUIDField(help_text="Which try has the key")
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status of the reply")
    headers = models.JSONField(default=dict, blank=True)
    body = models.BinaryField(null=True, blank=True, help_text="Empty for a reply that holds a secret")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=models.Q(status=None) | models.Q(status__gte=200, status__lt=500),
                name="idempotency_reply_settles",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.user_id}"
