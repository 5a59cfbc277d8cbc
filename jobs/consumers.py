"""The WebSocket of live events, `/ws/v1/events`.

A socket first joins the groups and then reads the snapshot, so nothing falls between the two; what comes
twice, the page tells by `seq`. Redis may lose events, so the snapshot is repeated from time to time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.utils.module_loading import import_string

from jobs import selectors
from jobs.events import JobState, Message, error_message, snapshot_message
from jobs.publish import user_group, video_group
from jobs.socket_outbox import SocketOutbox
from problems import Problem
from telemetry.recorder import Sample
from users.models import User
from users.services import socket_ticket_redeem
from videos.selectors import video_get_for

NOT_SIGNED_IN = 4401
NOT_ALLOWED = 4403
TRY_LATER = 1013
POLICY = 1008

SOCKETS_PER_USER = 30
SUBSCRIPTIONS_PER_SOCKET = 100
# What a client may send: this many messages in this many seconds, each of this many characters.
MESSAGES, SECONDS, CHARACTERS = 30, 10.0, 8192
CHECK_EVERY = 30.0

_sockets: Counter[str] = Counter()


def open_sockets() -> list[Sample]:
    """For monitoring: the sockets of this process."""
    return [Sample("videoproc_open_sockets", (), float(_sockets.total()))]


class JobEventsConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One page. Sends the viewer's jobs as they change, and those of videos it subscribes to."""

    user: User | None = None

    async def connect(self) -> None:
        # A close before the handshake would reach the page without its code.
        await self.accept()
        self.user = user = await _viewer(self.scope)
        if user is None:
            await self.close(NOT_SIGNED_IN)
            return
        _sockets[user.id] += 1
        self._received: deque[float] = deque(maxlen=MESSAGES)
        self._subscribed: set[str] = set()
        self._outbox = SocketOutbox()
        self._tasks: list[asyncio.Task[None]] = []
        if _sockets[user.id] > SOCKETS_PER_USER:
            await self.close(TRY_LATER)
            return
        await self.channel_layer.group_add(user_group(user.id), self.channel_name)
        await self._put(snapshot_message(await _live_of_viewer(user)))
        self._tasks = [
            asyncio.create_task(self._outbox.drain(self._send)),
            asyncio.create_task(self._check_for_ever(user)),
        ]

    async def disconnect(self, code: int) -> None:
        user = self.user
        if user is None:
            return
        _sockets[user.id] -= 1
        if not _sockets[user.id]:
            del _sockets[user.id]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for group in [user_group(user.id), *map(video_group, self._subscribed)]:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"subscribe": ["vid_…"]}` or `{"unsubscribe": ["vid_…"]}`."""
        if self.user is None:
            return
        if not self._may_send():
            await self.close(POLICY)
            return
        wishes = _parsed(text_data)
        if wishes is None:
            detail = 'Expected {"subscribe": ["vid_…"]} or {"unsubscribe": ["vid_…"]}.'
            await self._put(error_message("invalid_request", detail))
            return
        for video_id in wishes.get("unsubscribe", []):
            await self._unsubscribe(video_id)
        for video_id in wishes.get("subscribe", []):
            if not await self._subscribe(self.user, video_id):
                return

    async def job_event(self, event: dict[str, Any]) -> None:
        """From the channel layer, see `jobs.publish`."""
        if self.user is not None:
            await self._put(event["message"])

    async def _subscribe(self, user: User, video_id: str) -> bool:
        try:
            video = await database_sync_to_async(video_get_for)(user, video_id)
        except Problem as problem:
            # Sent at once: the outbox would not be empty before the close.
            await self._send(error_message(problem.code, problem.detail))
            await self.close(NOT_ALLOWED)
            return False
        if len(self._subscribed) >= SUBSCRIPTIONS_PER_SOCKET and video_id not in self._subscribed:
            await self._put(error_message("throttled", "Too many videos on one socket."))
            return True
        if video.owner_id != user.id:  # the owner's events come anyway, and would come twice
            self._subscribed.add(video_id)
            await self.channel_layer.group_add(video_group(video_id), self.channel_name)
        states = await database_sync_to_async(lambda: selectors.job_states(selectors.jobs_live_of(video)))()
        await self._put(snapshot_message(states, video_id=video_id))
        return True

    async def _unsubscribe(self, video_id: str) -> None:
        if video_id in self._subscribed:
            self._subscribed.discard(video_id)
            await self.channel_layer.group_discard(video_group(video_id), self.channel_name)

    async def _check_for_ever(self, user: User) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            if not await _may_still_watch(self.scope, user):
                await self.close(NOT_SIGNED_IN)
                return
            await self._put(snapshot_message(await _live_of_viewer(user)))

    async def _put(self, message: Message) -> None:
        if not self._outbox.put(message):
            await self.close(TRY_LATER)

    async def _send(self, message: Message) -> None:
        await self.send(text_data=json.dumps(message))

    def _may_send(self) -> bool:
        now = time.monotonic()
        in_a_hurry = len(self._received) == MESSAGES and now - self._received[0] < SECONDS
        self._received.append(now)
        return not in_a_hurry


def _parsed(text: str | None) -> dict[str, list[str]] | None:
    if text is None or len(text) > CHARACTERS:
        return None
    try:
        wishes = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(wishes, dict) or not wishes or not wishes.keys() <= {"subscribe", "unsubscribe"}:
        return None
    if not all(isinstance(ids, list) and all(isinstance(one, str) for one in ids) for ids in wishes.values()):
        return None
    return wishes


async def _viewer(scope: dict[str, Any]) -> User | None:
    """Who holds the cookie's session, or the ticket."""
    user = scope.get("user")
    if user is not None and user.is_authenticated:
        active: User | None = await database_sync_to_async(_fresh)(user.pk)
        return active
    tickets = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [])
    if len(tickets) != 1:
        return None
    holder: User | None = await database_sync_to_async(socket_ticket_redeem)(text=tickets[0])
    return holder


async def _may_still_watch(scope: dict[str, Any], user: User) -> bool:
    """A socket outlives the request that opened it, so its session and account are looked at again."""
    session = scope.get("session")
    key = session.session_key if session is not None and scope["user"].is_authenticated else None
    if key is None:
        return await database_sync_to_async(_fresh)(user.id) is not None
    same: bool = await database_sync_to_async(_session_is_of)(key, user.id)
    return same


def _session_is_of(session_key: str, user_id: str) -> bool:
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(session_key)
    found = get_user(SimpleNamespace(session=store, META={}))  # type: ignore[arg-type]  # it reads only the session
    return bool(found.is_authenticated and found.is_active and found.pk == user_id)


def _fresh(user_id: str) -> User | None:
    return User.objects.filter(id=user_id, is_active=True).first()


async def _live_of_viewer(user: User) -> list[JobState]:
    read = database_sync_to_async(lambda: selectors.job_states(selectors.jobs_live_for(user)))
    states: list[JobState] = await read()
    return states
