"""The ASGI application of the uploads process: finds the endpoint and turns every failure into a problem."""

from __future__ import annotations

import asyncio
import logging
import re

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError

from problems import Problem
from telemetry import context
from videos.fetchers import Fetchers
from videos.tus import archive, concatenation, idempotency, one_shot, protocol, small
from videos.tus.body import Body, BodyEnded
from videos.tus.callers import caller_of
from videos.tus.messages import TUS_VERSION, Answer, Receive, Refusal, Request, Scope, Send, problem_answer
from videos.tus.protocol import OnComplete
from videos.tus.threads import in_database

log = logging.getLogger(__name__)

# Seconds that requests get to save what has arrived when the server shuts down.
LAST_WORDS = 5.0
_VIDEOS = "/api/v1/videos"
_ASSETS = "/api/v1/assets"
_UPLOADS = "/api/v1/uploads"
_UPLOAD = re.compile(rf"{_UPLOADS}/([^/]+)")


class TusApplication:
    """`/api/v1/uploads…`, `POST /api/v1/videos` and `POST /api/v1/assets`, and out of it `…/archive`.

    `on_complete(upload_id=…)` makes the video of a complete upload and returns it. It may be called more
    than once for the same upload and must then return the same video. `fetchers`, where given, live as long
    as the server does.
    """

    def __init__(self, *, on_complete: OnComplete, fetchers: Fetchers | None = None) -> None:
        self._on_complete = on_complete
        self._fetchers = fetchers
        self._turns = asyncio.Semaphore(small.AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope), Body(receive), send)
        else:
            raise NotImplementedError(scope["type"])

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's own start and end. It cancels requests and would not wait for them to save."""
        while True:
            event = await receive()
            if event["type"] == "lifespan.shutdown":
                break
            self._watched(asyncio.create_task(concatenation.resume()))
            if self._fetchers is not None:
                self._fetchers.start()
            await send({"type": "lifespan.startup.complete"})
        if self._fetchers is not None:
            fetchers = asyncio.to_thread(self._fetchers.stop, seconds=LAST_WORDS)
            self._watched(asyncio.create_task(fetchers))
        if self._running:
            await asyncio.wait(self._running, timeout=LAST_WORDS)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request, body: Body, send: Send) -> None:
        if task := asyncio.current_task():
            self._watched(task)
        try:
            answer = await idempotency.answered(request, body, self._answer)
        except BodyEnded as ended:
            if not ended.connected:
                return
            answer = problem_answer(Problem("request_timeout"), request)
        await answer.send(send, request)

    def _watched(self, task: asyncio.Task[None]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, request: Request, body: Body) -> Answer:
        try:
            return await self._routed(request, body)
        except Refusal as refusal:
            return problem_answer(refusal.problem, request, refusal.headers)
        except Problem as problem:
            return problem_answer(problem, request)
        except SuspiciousOperation:
            return problem_answer(Problem("malformed_body", reason="its host is not one of ours."), request)
        except DatabaseError:
            log.warning("database failed during an upload", exc_info=True)
            return problem_answer(Problem("service_unavailable"), request)
        except BodyEnded:
            raise
        except Exception:
            log.exception("unforeseen failure of an upload")
            return problem_answer(Problem("internal_error"), request)

    async def _routed(self, request: Request, body: Body) -> Answer:
        request.for_django().get_host()  # refuses hosts that are not ours
        if request.path == _VIDEOS:
            _method_check(request, {"POST"})
            caller = await in_database(caller_of, request)
            context.tell(user_id=caller.pk)
            return await one_shot.video_post(request, body, caller, self._on_complete)
        if request.path == archive.PATH or archive.OF_VIDEO.fullmatch(request.path):
            _method_check(request, {"GET", "HEAD"})
            caller = await in_database(caller_of, request)
            context.tell(user_id=caller.pk)
            return await archive.archive_get(request, body, caller)
        if request.path == _ASSETS:
            _method_check(request, {"POST"})
            caller = await in_database(caller_of, request)
            context.tell(user_id=caller.pk)
            return await small.asset_post(request, body, caller, self._turns)
        if request.path == _UPLOADS:
            return await self._uploads(request, body)
        if found := _UPLOAD.fullmatch(request.path):
            return await self._upload(request, body, found[1])
        raise Problem("not_found")

    async def _uploads(self, request: Request, body: Body) -> Answer:
        _method_check(request, {"OPTIONS", "GET", "POST"})
        if request.method == "OPTIONS":
            return protocol.options(request)
        caller = await in_database(caller_of, request)
        context.tell(user_id=caller.pk)
        if request.method == "GET":
            return await in_database(protocol.unfinished, request, caller)
        _version_check(request)
        return await protocol.create(request, body, caller, self._on_complete)

    async def _upload(self, request: Request, body: Body, upload_id: str) -> Answer:
        _method_check(request, {"OPTIONS", "GET", "HEAD", "PATCH", "DELETE"})
        if request.method == "OPTIONS":
            return protocol.options(request)
        upload = await in_database(protocol.allowed_upload, request, upload_id)
        context.tell(user_id=upload.owner_id)
        if request.method == "GET":
            return await protocol.describe(upload, self._on_complete)
        _version_check(request)
        if request.method == "HEAD":
            return await protocol.state(upload, self._on_complete)
        if request.method == "DELETE":
            return await protocol.discard(upload, body)
        return await protocol.append(request, body, upload, self._on_complete)


def _method_check(request: Request, methods: set[str]) -> None:
    if request.method not in methods:
        problem = Problem("method_not_allowed", method=request.method)
        raise Refusal(problem, Allow=", ".join(sorted(methods)))


def _version_check(request: Request) -> None:
    if request.headers.get("tus-resumable") != TUS_VERSION:
        raise Problem("tus_version_unsupported")
