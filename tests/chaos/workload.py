"""Clients that use the site while it breaks: each is a thread with an account, a plan and a long patience.

What a client does is decided by the seed alone. Each request is noted before it is sent, and again by how it
ended: `ok` (2xx), `fail` (the site said no), or `unknown` (no answer, or one that says the site is in
trouble).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from tests.chaos.history import History
from tests.e2e.client import Client

# What is asked for, so small that many fit into a minute. Resizes have no width: each gets one of its own, so
# that no two are equal, and looks the same once it is made tiny.
WISHES: Mapping[str, Mapping[str, Any]] = {
    "resize": {},
    "convert": {"format": "mkv"},
    "trim": {"start": 0.5, "duration": 1.0, "mode": "exact"},
    "extract_audio": {"format": "mp3"},
    "thumbnail": {"at": 1},
    "hls": {},
}
# Of the long clip: the one that runs long enough to be cancelled, paused and frozen.
LONG = ("resize",)
WIDTHS = {"long": (300, 470), "keyed": (64, 158), "plain": (64, 158)}
FATES = ("leave", "leave", "twins", "cancel", "hold")
TROUBLE = 500
FULL = 507


class Reply(NamedTuple):
    """An answer of the site; `status` 0 is none."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def is_known(self) -> bool:
        return 0 < self.status < TROUBLE

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_busy(self) -> bool:
        """Somebody else is at it; it says nothing about this request."""
        code = self.body.get("code") if isinstance(self.body, dict) else ""
        return self.status in {423, 429} or code in {"idempotency_key_in_use", "upload_locked"}


class Order(NamedTuple):
    """A job that was accepted with a 2xx."""

    job: str
    operation: str
    video: str
    clip: str
    wish: str


@dataclass(slots=True)
class Ledger:
    """What the clients were promised."""

    videos: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    cancel_asked: set[str] = field(default_factory=set)
    cancelled: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    keys: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complain(self, text: str) -> None:
        """A broken promise that a client saw with its own eyes."""
        with self.lock:
            self.complaints.append(text)


def parameters_of(wish: str, clip: str, dice: random.Random) -> dict[str, Any]:
    """What is sent with a wish."""
    if wish == "resize":
        low, high = WIDTHS[clip]
        return {"width": 2 * dice.randrange(low // 2, high // 2)}
    return dict(WISHES[wish])


class Worker(threading.Thread):
    """One client at work until it is told to stop."""

    def __init__(
        self,
        name: str,
        *,
        account: Client,
        clips: Mapping[str, Path],
        ready: Mapping[str, str],
        seed: str,
        history: History,
        ledger: Ledger,
        only_long: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._account = account
        self._clips = clips
        self._ready = ready
        self._seed = seed
        self._history = history
        self._ledger = ledger
        self._only_long = only_long
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            dice = random.Random(f"{self._seed}/{self.name}/{number}")  # noqa: S311 - replayable on purpose
            try:
                self._round(dice)
            except Exception as error:  # noqa: BLE001 - a client that dies must be seen
                self._ledger.complain(f"{self.name} stopped: {type(error).__name__}: {error}")
                return
            number += 1

    # ------------------------------------------------------------------------------------------ requests

    def ask(self, method: str, path: str, **options: Any) -> Reply:
        """One request, noted before and after."""
        wanted = {key: value for key, value in options.items() if key in {"json", "headers", "params"}}
        number = self._history.note(self.name, "invoke", method=method, path=path, **wanted)["n"]
        options.setdefault("timeout", 15)
        try:
            with requests.Session() as http_session:
                http_session.trust_env = False
                http_session.headers.update(self._account.http.headers)
                answer = http_session.request(method, self._address(path), **options)
            body = answer.json() if "json" in answer.headers.get("content-type", "") else None
            reply = Reply(answer.status_code, body, answer.headers)
        except (requests.RequestException, ValueError) as error:
            self._history.note(self.name, "unknown", of=number, error=type(error).__name__)
            return Reply(0, None, {})
        self._note(number, reply)
        return reply

    def _address(self, path: str) -> str:
        return self._account.absolute(path) if path.startswith("/") else f"{self._account.url}/{path}"

    def _note(self, number: int, reply: Reply) -> None:
        # 507 is a clear no, too.
        event = "ok" if reply.is_ok else "fail" if reply.is_known or reply.status == FULL else "unknown"
        code = reply.body.get("code") if isinstance(reply.body, dict) else None
        named = reply.body.get("id") if isinstance(reply.body, dict) else None
        self._history.note(self.name, event, of=number, status=reply.status, code=code, id=named)

    def insist(self, act: Callable[[], Reply], *, seconds: float = 120) -> Reply:
        """Repeats a request that may be repeated until the site has an opinion, or the time is over."""
        end = time.monotonic() + seconds
        while True:
            reply = act()
            if reply.is_known and not reply.is_busy:
                return reply
            if time.monotonic() > end or self.over.is_set():
                return reply
            time.sleep(0.7)

    # -------------------------------------------------------------------------------------------- a round

    def _round(self, dice: random.Random) -> None:
        long = dice.random() < 0.3 or self._only_long
        clip = "long" if long else dice.choice(["keyed", "plain"])
        fresh, by_tus = dice.random() < 0.4, dice.random() < 0.75
        cuts = [dice.random() for _ in range(dice.choice([0, 1, 2]))]
        wishes = LONG * 2 if long else ("resize", *dice.sample(sorted(WISHES), dice.choice([1, 2])))
        fates = [dice.choice(FATES[: 2 if self._only_long else None]) for _ in wishes]
        pauses = [dice.uniform(0.1, 1.2) for _ in range(8)]
        video = self._upload(clip, cuts, by_tus=by_tus) if fresh else self._ready[clip]
        if video is None or not self._settled(video):
            return
        orders = []
        for wish, fate, pause in zip(wishes, fates, pauses, strict=False):
            if self.over.is_set():
                return
            wanted = (wish, parameters_of(wish, clip, dice))
            order = self._order(video, clip, wanted, twins=fate == "twins", key=f"{dice.getrandbits(64):x}")
            if order is None:
                continue
            orders.append(order)
            if fate in {"cancel", "hold"}:
                time.sleep(pause)
                self._cancel(order) if fate == "cancel" else self._hold(order, pause)
        self._wait(orders, seconds=60 if self._only_long else 15)
        self.over.wait(pauses[-1])

    def _upload(self, clip: str, cuts: list[float], *, by_tus: bool) -> str | None:
        return self._by_tus(clip, cuts) if by_tus else self._in_one_go(clip)

    def _wait(self, orders: list[Order], seconds: float) -> None:
        end = time.monotonic() + seconds
        for order in orders:
            while time.monotonic() < end and not self.over.is_set():
                reply = self.ask("GET", f"jobs/{order.job}", params={"wait": 5})
                if reply.is_ok and reply.body["status"] in {"completed", "failed", "cancelled"}:
                    break
                self.over.wait(0.5)

    # -------------------------------------------------------------------------------------------- uploads

    def _in_one_go(self, clip: str) -> str | None:
        data = self._clips[clip].read_bytes()
        reply = self.ask("POST", "videos", params={"filename": f"{clip}.mp4"}, data=data)
        return self._got_video(reply.body["id"], clip) if reply.is_ok else None

    def _got_video(self, video: str, clip: str) -> str:
        with self._ledger.lock:
            self._ledger.videos[video] = clip
        return video

    def _by_tus(self, clip: str, cuts: list[float]) -> str | None:
        data = self._clips[clip].read_bytes()
        named = base64.b64encode(f"{clip}.mp4".encode()).decode()
        headers = {
            "Tus-Resumable": "1.0.0", "Upload-Length": str(len(data)), "Upload-Metadata": f"filename {named}",
        }  # fmt: skip
        made = self.insist(lambda: self.ask("POST", "uploads", headers=headers))
        if not made.is_ok:
            return None
        where, acknowledged, planned = made.headers["Location"], 0, list(cuts)
        end = time.monotonic() + 180
        while time.monotonic() < end and not self.over.is_set():
            state = self.insist(lambda: self.ask("HEAD", where, headers={"Tus-Resumable": "1.0.0"}))
            if not state.is_ok:
                if state.is_known:
                    self._ledger.complain(
                        f"{where} is {state.status} after {acknowledged} acknowledged bytes"
                    )
                return None
            offset = int(state.headers["Upload-Offset"])
            if offset < acknowledged:
                self._ledger.complain(f"{where} fell from {acknowledged} acknowledged bytes to {offset}")
            if offset == len(data):
                video = state.headers.get("Videoproc-Video")
                return self._got_video(video, clip) if video else None
            acknowledged = offset + self._send_more(where, data, offset, planned)
        return None

    def _send_more(self, where: str, data: bytes, offset: int, planned: list[float]) -> int:
        """Cuts the connection in the middle if that is planned; how many bytes were acknowledged."""
        if planned:
            self._patch_cut(where, data, offset, planned.pop())
            return 0
        reply = self._patch(where, data[offset:], offset)
        if reply.status == FULL:
            self.over.wait(2)
        return int(reply.headers["Upload-Offset"]) - offset if reply.is_ok else 0

    def _patch(self, where: str, data: bytes, offset: int) -> Reply:
        headers = {
            "Tus-Resumable": "1.0.0", "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }  # fmt: skip
        return self.ask("PATCH", where, headers=headers, data=data)

    def _patch_cut(self, where: str, data: bytes, offset: int, share: float) -> None:
        """Announces the rest, sends a share of it and hangs up."""
        rest = data[offset:]
        sent = rest[: int(len(rest) * share)]
        self._history.note(self.name, "cut", path=where, offset=offset, bytes=len(sent))
        parts = urlsplit(self._account.url)
        line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            line.putrequest("PATCH", where)
            for name, value in {
                "Authorization": str(self._account.http.headers["Authorization"]),
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(len(rest)),
            }.items():
                line.putheader(name, value)
            line.endheaders(sent)
            time.sleep(0.1)
        line.close()

    def _settled(self, video: str) -> bool:
        end = time.monotonic() + 120
        while time.monotonic() < end and not self.over.is_set():
            reply = self.ask("GET", f"videos/{video}")
            if reply.status == 404:
                self._ledger.complain(f"{video} was acknowledged and is gone")
                return False
            if reply.is_ok and reply.body["status"] != "processing":
                return bool(reply.body["status"] == "ready")
            self.over.wait(0.5)
        return False

    # ----------------------------------------------------------------------------------------------- jobs

    def _order(
        self, video: str, clip: str, wish: tuple[str, Mapping[str, Any]], *, twins: bool, key: str
    ) -> Order | None:
        """Asks for an operation under one Idempotency-Key; with `twins` three times at the same moment."""
        kind, parameters = wish
        body = {"type": kind, "parameters": dict(parameters)}
        replies: list[Reply] = []

        def once() -> None:
            path, headers = f"videos/{video}/operations", {"Idempotency-Key": key}
            replies.append(self.insist(lambda: self.ask("POST", path, json=body, headers=headers)))

        threads = [threading.Thread(target=once, daemon=True) for _ in range(3 if twins else 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        jobs = {reply.body["job"]["id"]: reply for reply in replies if reply.is_ok}
        if len(jobs) > 1:
            self._ledger.complain(f"one Idempotency-Key made {len(jobs)} jobs: {sorted(jobs)}")
        for job, reply in jobs.items():
            order = Order(job, reply.body["id"], video, clip, kind)
            with self._ledger.lock:
                self._ledger.orders[job] = order
                self._ledger.keys += twins
            return order
        return None

    def _cancel(self, order: Order) -> None:
        with self._ledger.lock:
            self._ledger.cancel_asked.add(order.job)
        reply = self.insist(lambda: self.ask("POST", f"jobs/{order.job}/cancel"), seconds=20)
        if reply.is_ok:
            with self._ledger.lock:
                self._ledger.cancelled[order.job] = time.time()

    def _hold(self, order: Order, pause: float) -> None:
        """Pauses and resumes; a job that ended meanwhile says no to both."""
        if self.ask("POST", f"jobs/{order.job}/pause").status == 409:
            return
        time.sleep(2 * pause)
        # What was paused must not stay so, however long the site needs: so this insists, also on a lost
        # answer.
        end = time.monotonic() + 150
        while time.monotonic() < end:
            reply = self.ask("POST", f"jobs/{order.job}/resume")
            if reply.is_known:
                return
            time.sleep(0.7)
        self._ledger.complain(f"{order.job} could not be resumed for 150 s")
