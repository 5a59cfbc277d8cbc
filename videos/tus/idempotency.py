"""`Idempotency-Key` on the POSTs of the uploads process: the same request again gets the same reply.

The rules are those of all other POSTs (docs/jobs.md). What differs is that bodies are files and are never
held: a digest is taken as the bytes pass. A repetition whose head is the same is read to its end before it
gets the first reply; if its bytes were others, it is refused. While a long upload goes on, the key is kept
from running out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from django.db import DatabaseError
from django.utils.crypto import salted_hmac

from problems import Problem
from problems.document import CONTENT_TYPE
from users.idempotency import (
    ABANDONED_AFTER,
    HEADER,
    KEY_MAX,
    MAY_GO_BETTER,
    REPLAYED,
    Begun,
    Reply,
    request_begin,
    request_extend,
    request_finish,
    request_release,
)
from videos.tus.body import Body
from videos.tus.callers import caller_of
from videos.tus.messages import Answer, Request, problem_answer
from videos.tus.multipart import form_of
from videos.tus.threads import in_database

log = logging.getLogger(__name__)

Act = Callable[[Request, Body], Awaitable[Answer]]
# Of the head, what makes a request another one. The boundary of a form is new each time.
_TELLING = ("upload-length", "upload-defer-length", "upload-metadata", "upload-checksum", "tus-resumable")
# Kept beside the headers of the reply; no header has such a name.
_DIGEST = ":body"
_SIGN_OF_LIFE = ABANDONED_AFTER.total_seconds() / 3


async def answered(request: Request, body: Body, act: Act) -> Answer:
    """What `act` answers, or what it answered to the same request before."""
    key = request.headers.get(HEADER.lower())
    if key is None or request.method != "POST":
        return await act(request, body)
    try:
        user = await in_database(caller_of, request)
    except (Problem, DatabaseError):
        return await act(request, body)  # it says who is not let in, and how
    try:
        if not 0 < len(key) <= KEY_MAX:
            raise Problem("idempotency_key_invalid", longest=KEY_MAX)  # noqa: TRY301 - answered below
        begun = await in_database(request_begin, user=user, key=key, fingerprint=_fingerprint(request))
    except Problem as problem:
        headers = {"Retry-After": "1"} if problem.retryable else {}
        return problem_answer(problem, request, headers)
    except DatabaseError:
        log.warning("database failed during an upload", exc_info=True)
        return problem_answer(Problem("service_unavailable"), request)
    if isinstance(begun, Reply):
        return await _again(begun, request, body)
    return await _first(begun, request, body, act)


async def _first(begun: Begun, request: Request, body: Body, act: Act) -> Answer:
    passing = _Passing(request, body)
    try:
        async with _alive(begun):
            answer = await act(request, passing)
    except BaseException:
        # Cut, or this process is asked to stop: nobody got an answer, the request may come again.
        await _quietly(request_release, begun)
        raise
    if _settles(answer):
        headers = {**answer.headers, _DIGEST: passing.digest or ""}
        await _quietly(request_finish, begun, Reply(answer.status, headers, answer.body))
    else:
        await _quietly(request_release, begun)
    return answer


async def _again(reply: Reply, request: Request, body: Body) -> Answer:
    """The stored reply, if the bytes are those of the first request as well."""
    headers = dict(reply.headers)
    if stored := headers.pop(_DIGEST, ""):
        passing = _Passing(request, body)
        with contextlib.suppress(Problem):  # a form that cannot be read has no digest
            while await passing.next() is not None:
                pass
        if passing.digest != stored:
            return problem_answer(Problem("idempotency_key_reused"), request)
    return Answer(reply.status, {**headers, REPLAYED: "true"}, reply.body or b"")


class _Passing(Body):
    """A body whose bytes are digested as they pass."""

    def __init__(self, request: Request, body: Body) -> None:
        self._body = body
        self._sum = hashlib.sha256()
        try:
            self._form = form_of(request)
        except Problem:
            self._form = None
        self._whole = False

    @property
    def digest(self) -> str | None:
        """Of the file and the fields of a form, else of all bytes; None where not all have come."""
        return salted_hmac("videoproc.idempotency", self._sum.digest()).hexdigest() if self._whole else None

    @property
    def silent_for(self) -> float:
        return self._body.silent_for

    async def next(self) -> bytes | None:
        piece = await self._body.next()
        if piece is None:
            self._end()
        elif self._form is None:
            self._sum.update(piece)
        else:
            self._take(piece)
        return piece

    def interrupt(self) -> None:
        self._body.interrupt()

    def _take(self, piece: bytes) -> None:
        if self._form is None:
            return
        try:
            for part in self._form.feed(piece):
                self._sum.update(part)
        except Problem:  # whoever reads the form as well says what is wrong with it
            self._form = None

    def _end(self) -> None:
        if self._form is not None and not self._whole:
            named = json.dumps([self._form.filename, self._form.fields], sort_keys=True)
            self._sum.update(f"\n{named}".encode())
        self._whole = True


def _fingerprint(request: Request) -> str:
    form = request.content_type == "multipart/form-data"
    query = sorted(request.query.items())
    told = [request.headers.get(name, "") for name in _TELLING]
    length = None if form else request.content_length
    head = json.dumps([request.method, request.path, query, request.content_type, length, told])
    return salted_hmac("videoproc.idempotency", head, algorithm="sha256").hexdigest()


def _settles(answer: Answer) -> bool:
    """Whether the same request would get the same answer again."""
    if answer.status >= 500 or answer.status in MAY_GO_BETTER:  # noqa: PLR2004 - HTTP's own
        return False
    if answer.headers.get("Content-Type") != CONTENT_TYPE:
        return True
    return not json.loads(answer.body)["retryable"]


@asynccontextmanager
async def _alive(begun: Begun) -> AsyncIterator[None]:
    """Keeps the key from running out meanwhile."""
    sign = asyncio.create_task(_signs_of_life(begun))
    try:
        yield
    finally:
        sign.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sign


async def _signs_of_life(begun: Begun) -> None:
    while True:
        await asyncio.sleep(_SIGN_OF_LIFE)
        await _quietly(request_extend, begun)


async def _quietly(act: Callable[..., object], *arguments: object) -> None:
    """The work is done, or undone; a key that could not be settled runs out by itself."""
    try:
        await in_database(act, *arguments)
    except DatabaseError:
        log.warning("the reply to a request with an idempotency key could not be kept", exc_info=True)
