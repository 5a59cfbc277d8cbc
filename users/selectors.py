"""Everything that reads accounts, tokens and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from knox.crypto import hash_token

from problems import Problem
from users.ids import public_id_is_valid
from users.models import ApiToken, User
from users.passwords import MAXIMUM_LENGTH

MATCHING_MAX = 50
LAST_USED_GRAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One way into an account that is open now. `name` is the token's name or the browser's user agent."""

    id: str
    kind: Literal["browser", "token"]
    name: str
    scope: str
    ip: str | None
    created_at: datetime
    last_seen_at: datetime | None
    expires_at: datetime | None
    current: bool


def user_by_credentials(*, login: str, password: str) -> User | None:
    """The active user with this name or address (in any case) and this password.

    An unknown name takes as long as a wrong password, so that neither shows which names exist.
    """
    user = _user_by_login(login)
    if len(password) > MAXIMUM_LENGTH:
        password = ""
    if user is None:
        User().set_password(password)
        return None
    return user if user.check_password(password) and user.is_active else None


def user_get(user_id: str) -> User:
    """The account of this id (`usr_…`) with its tier, active or not. Raises `not_found`."""
    user = None
    if public_id_is_valid("usr", user_id):
        user = User.objects.select_related("tier").filter(pk=user_id).first()
    if user is None:
        raise Problem("not_found")
    return user


def user_find(login: str) -> User | None:
    """The account with this name or address, in any case of its letters, active or not."""
    return _user_by_login(login)


def users_matching(text: str) -> QuerySet[User]:
    """Accounts whose name or address contains every word of `text`, newest first; all for an empty text."""
    users = User.objects.select_related("tier").order_by("-id")
    for word in text.replace("\x00", " ").split()[:10]:
        users = users.filter(Q(username__icontains=word) | Q(email__icontains=word))
    return users


def username_is_taken(username: str) -> bool:
    """In any case of its letters."""
    return User.objects.alias(folded=Lower("username")).filter(folded=Lower(Value(username))).exists()


def email_is_taken(email: str) -> bool:
    """In any case of its letters."""
    return User.objects.alias(folded=Lower("email")).filter(folded=Lower(Value(email))).exists()


def user_by_token(text: str) -> tuple[User, ApiToken] | None:
    """Whose token this is, in one query; None where it is unknown, expired or its user is not active.

    Notes the time of use, at most once a minute.
    """
    now = timezone.now()
    try:
        digest = hash_token(text)
    except UnicodeEncodeError:
        return None
    token = ApiToken.objects.select_related("user__tier").filter(pk=digest).first()
    if token is None or (token.expiry is not None and token.expiry <= now) or not token.user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_GRAIN:
        ApiToken.objects.filter(pk=digest).update(last_used_at=now)
    return token.user, token


def users_named(text: str) -> QuerySet[User]:
    """Those whose name or address is `text` in any case, or whose name begins with it; never many, and
    all from indexes."""
    text = text.strip().replace("\x00", "")
    if not text:
        return User.objects.none()
    folded = User.objects.alias(name_folded=Lower("username"), email_folded=Lower("email"))
    exact = Q(name_folded=Lower(Value(text))) | Q(email_folded=Lower(Value(text)))
    return folded.filter(exact | Q(username__startswith=text)).order_by()[:MATCHING_MAX]


def browser_session_id(session_key: str) -> str:
    """The public id of a browser session. The key itself would let its reader take the session over."""
    return f"ses_{salted_hmac('users.browser_session', session_key, algorithm='sha256').hexdigest()[:32]}"


def sessions_for(
    user: User, *, current_session_key: str | None = None, current_token: ApiToken | None = None
) -> list[SessionInfo]:
    """Every browser session and token of this user that still opens the door, newest first."""
    now = timezone.now()
    tracked = {session.session_key: session for session in UserSession.objects.filter(user=user)}
    expiries = Session.objects.filter(session_key__in=tracked, expire_date__gt=now).values_list(
        "session_key", "expire_date"
    )
    found = [
        SessionInfo(
            id=browser_session_id(key),
            kind="browser",
            name=tracked[key].user_agent,
            scope=ApiToken.Scope.WRITE,
            ip=tracked[key].ip,
            created_at=tracked[key].created_at,
            last_seen_at=tracked[key].last_seen_at,
            expires_at=expiry,
            current=key == current_session_key,
        )
        for key, expiry in expiries
    ]
    found += [
        SessionInfo(
            id=token.public_id,
            kind="token",
            name=token.name,
            scope=token.scope,
            ip=None,
            created_at=token.created,
            last_seen_at=token.last_used_at,
            expires_at=token.expiry,
            current=current_token is not None and token.pk == current_token.pk,
        )
        for token in ApiToken.objects.filter(Q(expiry=None) | Q(expiry__gt=now), user=user)
    ]
    return sorted(found, key=lambda session: session.created_at, reverse=True)


def _user_by_login(login: str) -> User | None:
    if "\x00" in login:
        return None
    wanted = Lower(Value(login))
    users = User.objects.select_related("tier").alias(
        name_folded=Lower("username"), email_folded=Lower("email")
    )
    # A name holds no "@" and an address always does, so at most one row matches.
    return users.filter(Q(name_folded=wanted) | Q(email_folded=wanted)).first()
