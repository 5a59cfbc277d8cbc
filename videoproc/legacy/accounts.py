"""Users and sessions of the original."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import DataError, IntegrityError, transaction

from problems import Problem
from users.models import User
from users.passwords import MAXIMUM_LENGTH
from users.selectors import email_is_taken, username_is_taken
from users.services import user_import
from videoproc.legacy import mapping
from videoproc.legacy.models import LegacyRecord
from videoproc.legacy.names import email_variants, username_variants
from videoproc.legacy.reading import Damage, entries
from videoproc.legacy.records import LegacySession, LegacyUser, checked
from videoproc.legacy.report import Report
from videos.names import name_clean

SESSION_REASON = (
    "a token of at most 10 digits can be guessed, so it opens nothing here; people sign in with their old "
    "name and password"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of the original. `id` is empty before the account is made, and in a dry run."""

    key: str
    id: str | None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A record that has no account yet, and the name and address it will have."""

    index: int
    record: LegacyUser
    key: str
    username: str
    email: str
    password: str | None


@dataclass(slots=True)
class Accounts:
    """What is known of the users, by their number in the original."""

    owners: dict[int, Owner] = field(default_factory=dict)
    new: list[NewUser] = field(default_factory=list)


class AccountsReader:
    """Reads `data/users`; looks at the database, changes nothing."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known = mapping.known(LegacyRecord.Kind.USER)
        self._keys: set[str] = set()
        self._names: set[str] = set()
        self._emails: set[str] = set()
        self._accounts = Accounts()

    def read(self, content: bytes) -> Accounts:
        for found in entries(content):
            if not isinstance(found, Damage):
                self._take(found.index, found.value)
            elif found.index is None:
                self._report.tell("broken", "users", None, "", found.reason)
            else:
                self._report.broken("users", "users", found.index, "", found.reason)
        return self._accounts

    def _take(self, index: int, value: object) -> None:
        record, complaints = checked(LegacyUser, value)
        if record is None:
            self._report.broken("users", "users", index, "", "; ".join(complaints))
            return
        label, key = repr(record.username), mapping.user_key(record)
        if key in self._keys:
            reason = "the same number and name as an earlier record"
            self._report.broken("users", "users", index, label, reason)
            return
        self._keys.add(key)
        for complaint in complaints:
            self._report.tell("note", "users", index, label, complaint)
        if record.id in self._accounts.owners:
            reason = f"another user has the number {record.id}; videos and sessions of that number are theirs"
            self._report.tell("note", "users", index, label, reason)
        self._accounts.owners.setdefault(record.id, Owner(key, self._known.get(key)))
        if key in self._known:
            self._report.count("users", "already here")
        else:
            self._accounts.new.append(self._new(index, record, key))

    def _new(self, index: int, record: LegacyUser, key: str) -> NewUser:
        username = next(name for name in username_variants(record.username) if self._is_free(name))
        self._names.add(username.casefold())
        variants = email_variants(username, record.username, key)
        email = next(
            mail for mail in variants if mail.casefold() not in self._emails and not email_is_taken(mail)
        )
        self._emails.add(email.casefold())
        self._explain_name(index, record.username, username, email)
        return NewUser(index, record, key, username, email, self._password(index, record))

    def _is_free(self, name: str) -> bool:
        return name.casefold() not in self._names and not username_is_taken(name)

    def _explain_name(self, index: int, wanted: str, username: str, email: str) -> None:
        if username == wanted:
            return
        also = "; the old one works too, as the address" if email == wanted else ""
        reason = f"signs in as {username!r} from now on: the old name is taken or not allowed{also}"
        self._report.tell("note", "users", index, repr(wanted), reason)

    def _password(self, index: int, record: LegacyUser) -> str | None:
        password = record.password
        if password and len(password) <= MAXIMUM_LENGTH and _is_unicode(password):
            return password
        reason = "has no usable password, so cannot sign in until an administrator sets one"
        self._report.tell("note", "users", index, repr(record.username), reason)
        return None


def users_write(
    accounts: Accounts, report: Report, *, workers: int, on_done: Callable[[int, int], None]
) -> None:
    """Make the accounts. Passwords are hashed side by side: bcrypt takes its time on purpose, and works
    outside Python's lock, so threads use all processors.
    """
    total = len(accounts.new)
    with ThreadPoolExecutor(workers, thread_name_prefix="hash") as pool:
        for done, (new, hashed) in enumerate(_hashed(pool, accounts.new, workers), 1):
            _write(accounts, new, hashed, report)
            on_done(done, total)


def _hashed(pool: ThreadPoolExecutor, new: Iterable[NewUser], workers: int) -> Iterator[tuple[NewUser, str]]:
    """Each with its hash, in order, a few batches ahead at most."""
    waiting = iter(new)
    while batch := list(islice(waiting, 8 * workers)):
        yield from zip(batch, pool.map(lambda user: make_password(user.password), batch), strict=True)


def _write(accounts: Accounts, new: NewUser, hashed: str, report: Report) -> None:
    label = repr(new.record.username)
    first, _, last = name_clean(new.record.name.replace("\x00", " ")).partition(" ")
    try:
        with transaction.atomic():
            user = user_import(
                username=new.username,
                email=new.email,
                password_hash=hashed,
                first_name=first[:150],
                last_name=last[:150],
            )
            _remember(new, user, report.run)
    except (Problem, DataError, IntegrityError) as error:
        report.broken("users", "users", new.index, label, _words(error))
        accounts.owners = {number: owner for number, owner in accounts.owners.items() if owner.key != new.key}
        return
    report.count("users", "imported")
    for number, owner in accounts.owners.items():
        if owner.key == new.key:
            accounts.owners[number] = Owner(new.key, user.id)
            break


def _remember(new: NewUser, user: User, run: str) -> None:
    mapping.remember(
        kind=LegacyRecord.Kind.USER,
        key=new.key,
        label=f"{new.record.id} {new.record.username}",
        object_id=user.id,
        run=run,
        made=mapping.made(updated_at=user.updated_at),
    )


def _words(error: Exception) -> str:
    if isinstance(error, Problem) and error.errors:
        return "; ".join(f"{member.pointer.removeprefix('/')}: {member.detail}" for member in error.errors)
    return str(error)


def _is_unicode(text: str) -> bool:
    """JSON may hold halves of characters, which nobody can type."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def sessions_read(content: bytes | None, accounts: Accounts, report: Report) -> None:
    """Count the sessions and say why none comes along."""
    skipped: Counter[int] = Counter()
    for found in entries(content) if content is not None else ():
        if isinstance(found, Damage):
            if found.index is None:
                report.tell("broken", "sessions", None, "", found.reason)
            else:
                report.broken("sessions", "sessions", found.index, "", found.reason)
            continue
        record, complaints = checked(LegacySession, found.value)
        if record is None:
            report.broken("sessions", "sessions", found.index, "", "; ".join(complaints))
        elif record.user_id not in accounts.owners:
            reason = f"user {record.user_id} is not among the users"
            report.broken("sessions", "sessions", found.index, "", reason)
        else:
            skipped[record.user_id] += 1
            report.count("sessions", "skipped")
    if skipped:
        report.tell("skipped", "sessions", None, "", SESSION_REASON, times=skipped.total())
