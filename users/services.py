"""Everything that changes accounts, tokens, sessions and socket tickets."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from problems import FieldError, Problem
from users.ids import public_id_is_valid
from users.models import ApiToken, SocketTicket, User
from users.selectors import browser_session_id
from users.validation import invalid_request

LOGIN_TOKEN_LIFETIME = timedelta(days=7)
LOGIN_TOKEN_NAME = "login"  # noqa: S105 - a name
TOKEN_LIFETIME_MAX = timedelta(days=365)
TICKET_LIFETIME = timedelta(seconds=30)
_CONSTRAINTS = {"user_username_unique": "username_taken", "user_email_unique": "email_taken"}


def user_register(*, username: str, email: str, password: str) -> User:
    """Make an account of the free tier. Raises `invalid_request` naming each wrong field."""
    user = User(username=User.normalize_username(username), email=User.objects.normalize_email(email))
    errors: list[FieldError] = []
    try:
        validate_password(password, user)
    except ValidationError as error:
        errors = [_password_error(member, "/password") for member in error.error_list]
    try:
        user.full_clean(exclude={"password"})
    except ValidationError as error:
        errors = [*invalid_request(error).errors, *errors]
    if errors:
        raise Problem("invalid_request", errors=errors)
    user.set_password(password)
    with _taken_as_problem(), transaction.atomic():
        user.save(force_insert=True)
    return user


def user_import(
    *, username: str, email: str, password_hash: str, first_name: str = "", last_name: str = ""
) -> User:
    """An account that was made elsewhere, of the free tier.

    `password_hash` is what `make_password` made: an old password may be weaker than our rules allow, and
    still has to open the door. Raises `invalid_request` naming each wrong field.
    """
    user = User(username=username, email=email, first_name=first_name, last_name=last_name)
    user.password = password_hash
    try:
        user.full_clean(exclude={"password"})
    except ValidationError as error:
        raise invalid_request(error) from error
    with _taken_as_problem(), transaction.atomic():
        user.save(force_insert=True)
    return user


def user_update(*, user: User, username: str | None = None, email: str | None = None) -> User:
    """Change what is given. Raises `invalid_request`, also where a name or address is taken."""
    if username is not None:
        user.username = User.normalize_username(username)
    if email is not None:
        user.email = User.objects.normalize_email(email)
    try:
        user.full_clean(exclude={"password"})
    except ValidationError as error:
        raise invalid_request(error) from error
    with _taken_as_problem(), transaction.atomic():
        user.save(update_fields=["username", "email", "updated_at"])
        # allauth notes the address of a sign-up; a former one must neither sign in nor reset the password.
        EmailAddress.objects.filter(user=user).exclude(email__iexact=user.email).delete()
    return user


def password_change(
    *,
    user: User,
    current_password: str,
    new_password: str,
    keep_session_key: str | None = None,
    keep_token: ApiToken | None = None,
) -> None:
    """Set a new password and end every other session and token of the account.

    A page or endpoint that runs in a browser session calls Django's `update_session_auth_hash`
    afterwards, or the session it keeps here ends all the same. Raises `wrong_password` and
    `weak_password`.
    """
    if not user.check_password(current_password):
        raise Problem(
            "wrong_password", errors=[FieldError("/current_password", "wrong_password", "Not right.")]
        )
    try:
        validate_password(new_password, user)
    except ValidationError as error:
        reason = " ".join(error.messages)
        errors = [_password_error(member, "/new_password") for member in error.error_list]
        raise Problem("weak_password", errors=errors, reason=reason) from error
    user.set_password(new_password)
    with transaction.atomic():
        user.save(update_fields=["password", "updated_at"])
        sessions_end_all(user=user, keep_session_key=keep_session_key, keep_token=keep_token)


def user_suspend(*, user: User, reason: str = "") -> None:
    """Closes the account: every session and token ends, nobody can sign in, none of its jobs starts.

    What runs is finished, and nothing is removed. Suspending twice keeps the last reason.
    """
    with transaction.atomic():
        user.is_active, user.suspension_reason = False, reason.strip()[:300]
        user.save(update_fields=["is_active", "suspension_reason", "updated_at"])
        sessions_end_all(user=user)


def user_unsuspend(*, user: User) -> None:
    """Opens the account again. Its jobs start within seconds; sessions and tokens stay gone."""
    user.is_active, user.suspension_reason = True, ""
    user.save(update_fields=["is_active", "suspension_reason", "updated_at"])


def user_delete(*, user: User) -> None:
    """Remove the account and every row it owns. Its files have no row then and are swept up later."""
    with transaction.atomic():
        sessions_end_all(user=user)
        user.delete()


def token_create(
    *, user: User, name: str, scope: str = ApiToken.Scope.WRITE, lifetime: timedelta = LOGIN_TOKEN_LIFETIME
) -> tuple[ApiToken, str]:
    """A token and its text, which cannot be shown again. Raises `invalid_request`."""
    if (
        not name.strip()
        or scope not in ApiToken.Scope.values
        or not timedelta(0) < lifetime <= TOKEN_LIFETIME_MAX
    ):
        raise Problem("invalid_request")
    token, text = ApiToken.objects.create(user, expiry=lifetime, name=name.strip()[:80], scope=scope)
    return token, str(text)


def token_revoke(*, token: ApiToken) -> None:
    """End a token at once; ending it twice is no fault."""
    ApiToken.objects.filter(pk=token.pk).delete()


def tokens_revoke_all(*, user: User) -> None:
    """End every token of this user at once."""
    ApiToken.objects.filter(user=user).delete()


def browser_sessions_end_all(*, user: User) -> None:
    """Sign this user out of every browser at once; tokens stay."""
    with transaction.atomic():
        sessions = UserSession.objects.filter(user=user)
        _browser_sessions_end(list(sessions.values_list("session_key", flat=True)))
        SocketTicket.objects.filter(user=user).delete()


def session_end(*, user: User, session_id: str) -> None:
    """End one browser session (`ses_…`) or token (`tok_…`) of this user. Raises `not_found`."""
    for session in UserSession.objects.filter(user=user):
        if browser_session_id(session.session_key) == session_id:
            _browser_sessions_end([session.session_key])
            return
    tokens = {token.public_id: token for token in ApiToken.objects.filter(user=user)}
    if session_id not in tokens:
        raise Problem("not_found")
    token_revoke(token=tokens[session_id])


def session_extend(*, user: User, session_id: str) -> None:
    """Keep one open browser session (`ses_…`) or token (`tok_…`) of this user open for 7 days from now.

    Nothing is made shorter, a token lives no longer than a year, and one that never ends stays so. The cookie
    of a browser is its own affair: the page that serves it sends it again. Raises `not_found`, also for what
    has run out.
    """
    now = timezone.now()
    until = now + LOGIN_TOKEN_LIFETIME
    tokens = ApiToken.objects.filter(Q(expiry=None) | Q(expiry__gt=now), user=user)
    if public_id_is_valid("tok", session_id):
        token = tokens.filter(public_id=session_id).first()
        if token is None:
            raise Problem("not_found")
        longest = min(until, token.created + TOKEN_LIFETIME_MAX)
        tokens.filter(pk=token.pk, expiry__lt=longest).update(expiry=longest)
        return
    for session in UserSession.objects.filter(user=user):
        if browser_session_id(session.session_key) == session_id:
            live = Session.objects.filter(session_key=session.session_key, expire_date__gt=now)
            if live.exists():
                live.filter(expire_date__lt=until).update(expire_date=until)
                return
    raise Problem("not_found")


def sessions_end_all(
    *, user: User, keep_session_key: str | None = None, keep_token: ApiToken | None = None
) -> None:
    """End all browser sessions and tokens of this user, except those to keep."""
    sessions = UserSession.objects.filter(user=user)
    if keep_session_key is not None:
        sessions = sessions.exclude(session_key=keep_session_key)
    tokens = ApiToken.objects.filter(user=user)
    if keep_token is not None:
        tokens = tokens.exclude(pk=keep_token.pk)
    with transaction.atomic():
        _browser_sessions_end(list(sessions.values_list("session_key", flat=True)))
        tokens.delete()
        SocketTicket.objects.filter(user=user).delete()


def socket_ticket_create(*, user: User) -> str:
    """The text of a pass for one WebSocket, good for 30 seconds and one use."""
    text = secrets.token_urlsafe(32)
    SocketTicket.objects.create(
        digest=_ticket_digest(text), user=user, expires_at=timezone.now() + TICKET_LIFETIME
    )
    return text


def socket_ticket_redeem(*, text: str) -> User | None:
    """The active user this ticket was made for, or None. Of two callers at once only one gets the user."""
    tickets = SocketTicket.objects.filter(digest=_ticket_digest(text), expires_at__gt=timezone.now())
    ticket = tickets.select_related("user__tier").first()
    if ticket is None:
        return None
    deleted, _ = tickets.delete()
    return ticket.user if deleted == 1 and ticket.user.is_active else None


def sessions_purge() -> int:
    """Remove what has run out: browser sessions, tokens, tickets. Returns how many rows went."""
    now = timezone.now()
    live = Session.objects.values("session_key")
    ended = UserSession.objects.filter(last_seen_at__lt=now - timedelta(hours=1)).exclude(
        session_key__in=live
    )
    expired = (
        Session.objects.filter(expire_date__lt=now),
        ApiToken.objects.filter(expiry__lt=now),
        SocketTicket.objects.filter(expires_at__lt=now),
        ended,
    )
    return sum(int(rows.delete()[0]) for rows in expired)


def _browser_sessions_end(keys: Collection[str]) -> None:
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()


def _ticket_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _password_error(error: ValidationError, pointer: str) -> FieldError:
    return FieldError(pointer, error.code or "weak_password", " ".join(error.messages))


@contextmanager
def _taken_as_problem() -> Iterator[None]:
    """Two requests at once may both pass validation; the database lets one through."""
    try:
        yield
    except IntegrityError as error:
        constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
        code = _CONSTRAINTS.get(constraint) or ("username_taken" if "username" in constraint else None)
        if code is None:
            raise
        pointer = "/email" if code == "email_taken" else "/username"
        raise Problem("invalid_request", errors=[FieldError(pointer, code, "Already in use.")]) from error
