"""What goes wrong: a deck of faults, dealt by the seed, each at least once in a full run.

A fault is a function of the arena and its own dice. Long ones run beside the others and say when they are
over. Crash points are dealt apart: one after the other is armed and stays so until a process has come by.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import psycopg
import redis

from tests.chaos.history import History
from tests.chaos.site import Site

LEASE = 30.0

# Every line where a crash matters, see docs/jobs-lifecycle.md. `tests/chaos/test_plan.py` compares this with
# the code.
CRASH_POINTS = (
    "upload_created", "bytes_synced", "offset_written", "offset_counted", "source_moved", "video_made",
    "video_inspected", "job_written", "before_wake_up", "before_reply_kept", "wake_up_taken", "step_claimed",
    "step_made", "file_moved", "outputs_placed", "parts_moved", "parts_kept", "step_recorded", "step_done",
    "before_discard", "before_requeue", "before_hand_back", "cancel_written", "cancelled", "lease_expired",
    "reconciling", "cleaning", "webhook_sent",
)  # fmt: skip
# These need a fault that leads there.
LED_TO = {"before_hand_back": "stop_worker", "cleaning": "clean", "lease_expired": "kill_pool_child"}


class Window(NamedTuple):
    """From when to when something was disturbed on purpose, for checks that are about seconds."""

    begin: float
    end: float
    what: str


@dataclass(slots=True)
class Arena:
    """What faults get at."""

    site: Site
    history: History
    before_power_loss: Callable[[], None] = lambda: None
    windows: list[Window] = field(default_factory=list)
    background: list[threading.Thread] = field(default_factory=list)
    woken: int = 0

    def note(self, event: str, **more: object) -> None:
        self.history.note("nemesis", event, **more)

    @contextlib.contextmanager
    def disturbed(self, what: str) -> Iterator[None]:
        begin = time.time()
        try:
            yield
        finally:
            self.windows.append(Window(begin, time.time(), what))

    def beside(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, daemon=True)
        self.background.append(thread)
        thread.start()

    def kill(self, pids: Iterable[int], number: int = signal.SIGKILL) -> list[int]:
        done = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                done.append(pid)
        return done

    def rest(self) -> None:
        """Waits for the faults that run beside."""
        for thread in self.background:
            thread.join(timeout=120)

    def heal(self) -> None:
        """Ends every fault that lasts."""
        self.rest()
        for point in CRASH_POINTS:
            self.site.disarm(point)
        (self.site.control / "lie").unlink(missing_ok=True)
        self.site.empty()
        for clock in self.site.control.glob("clock-*"):
            clock.unlink()
        for process in self.site.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


Fault = Callable[[Arena, random.Random], None]
Found = TypeVar("Found")


def _kill_main(role: str) -> Fault:
    def act(arena: Arena, _dice: random.Random) -> None:
        main = arena.site.main(role)
        arena.note(f"kill {role}", pids=arena.kill([main] if main else []))

    return act


def kill_pool_child(arena: Arena, dice: random.Random) -> None:
    """One that works, if any does."""
    role = dice.choice(["worker-encode", "worker-encode", "worker-short"])
    pids = arena.site.children(role)
    busy = [pid for pid in pids if _works(pid)]
    chosen = dice.choice(busy or pids) if pids else None
    arena.note("kill pool child", role=role, busy=bool(busy), pids=arena.kill([chosen] if chosen else []))


def kill_ffmpeg(arena: Arena, _dice: random.Random) -> None:
    end = time.monotonic() + 6
    while not (tools := arena.site.tools()) and time.monotonic() < end:
        time.sleep(0.05)
    arena.note("kill ffmpeg", pids=arena.kill(tools))


def stop_worker(arena: Arena, dice: random.Random) -> None:
    """As an administrator does: SIGTERM to the main process of a worker, of one that works if any does."""
    roles = ["worker-encode", "worker-short"]
    busy = [role for role in roles if any(map(_works, arena.site.children(role)))]
    role = dice.choice(busy or roles)
    main = arena.site.main(role)
    arena.note("stop worker", role=role, pids=arena.kill([main] if main else [], signal.SIGTERM))


def freeze_worker(arena: Arena, dice: random.Random) -> None:
    """The whole of a worker for longer than its leases, its tools as well or not."""
    role, tools_too = dice.choice(["worker-encode", "worker-short"]), dice.random() < 0.5

    def act() -> None:
        with arena.disturbed("a worker is frozen"):
            pids = arena.site.pids(role)
            if tools_too:
                pids += list(arena.site.tools())
            arena.note("freeze worker", role=role, tools=tools_too, pids=arena.kill(pids, signal.SIGSTOP))
            time.sleep(LEASE + 8)
            arena.kill(pids, signal.SIGCONT)
            arena.note("thaw worker", role=role)
            time.sleep(2)

    arena.beside(act)


def zombie(arena: Arena, _dice: random.Random) -> None:
    """A worker freezes with its result in place and unrecorded, and wakes up when another holds the step."""
    arena.site.arm("outputs_placed", signal.SIGSTOP)

    def act() -> None:
        with arena.disturbed("a worker is frozen"):
            pid = _wait(lambda: arena.site.hit_by("outputs_placed"), 60)
            if pid is None:
                arena.site.disarm("outputs_placed")
                arena.note("no zombie came up")
                return
            arena.note("zombie frozen", pid=pid)
            step = _step_of(arena.site, pid)
            taken = step and _wait(lambda: _taken_over(arena.site, step), LEASE + 40)
            arena.kill([pid], signal.SIGCONT)
            arena.note("zombie awake", pid=pid, another_holds_it=bool(taken))
            arena.woken += bool(taken)
            time.sleep(2)

    arena.beside(act)


def flush_broker(arena: Arena, _dice: random.Random) -> None:
    with contextlib.suppress(redis.RedisError, OSError):
        arena.site.broker().flushall()
        arena.note("flushall")


def stop_broker(arena: Arena, dice: random.Random) -> None:
    """It does not answer, for up to a minute."""
    seconds = dice.choice([8.0, 20.0, 60.0])

    def act() -> None:
        pids = arena.site.pids("valkey")
        arena.note("stop broker", seconds=seconds, pids=arena.kill(pids, signal.SIGSTOP))
        time.sleep(seconds)
        arena.kill(pids, signal.SIGCONT)
        arena.note("continue broker")

    arena.beside(act)


def stop_database(arena: Arena, dice: random.Random) -> None:
    """PostgreSQL's immediate stop; it is back at once, or after seconds in which nobody starts anything."""
    seconds = dice.choice([0.0, 6.0, 26.0])

    def act() -> None:
        with arena.disturbed("PostgreSQL is away"):
            if seconds:
                arena.kill([arena.site.supervisor], signal.SIGSTOP)
            main = arena.site.main("postgres")
            arena.note(
                "stop database", seconds=seconds, pids=arena.kill([main] if main else [], signal.SIGQUIT)
            )
            time.sleep(seconds)
            arena.kill([arena.site.supervisor], signal.SIGCONT)
            _wait(lambda: _answers(arena.site), 60)
            arena.note("database is back")

    arena.beside(act)


def terminate_backends(arena: Arena, _dice: random.Random) -> None:
    with arena.disturbed("connections are cut"), contextlib.suppress(psycopg.Error):
        with arena.site.database() as database:
            ended = database.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE usename = current_user AND pid <> pg_backend_pid()"
            ).fetchone()
        arena.note("terminate backends", count=ended and ended[0])


def fill_disk(arena: Arena, dice: random.Random) -> None:
    seconds = dice.uniform(4, 9)

    def act() -> None:
        arena.note("fill disk", how=arena.site.full, bytes=arena.site.fill())
        time.sleep(seconds)
        arena.site.empty()
        arena.note("empty disk")

    arena.beside(act)


def lying_tool(arena: Arena, _dice: random.Random) -> None:
    """The next encoder leaves 60 % of its file and exits with 0."""
    (arena.site.control / "lie").touch()
    arena.note("a tool will lie")


def shift_clock(arena: Arena, dice: random.Random) -> None:
    """One worker believes that it is hours later, and that worker has to clean and to reconcile."""
    role, hours = dice.choice(["worker-short", "worker-short", "worker-encode"]), dice.choice([2, 26])

    def act() -> None:
        clock = arena.site.control / f"clock-{role}"
        clock.write_text(str(hours * 3600))
        clock.chmod(0o644)
        arena.note("shift clock", role=role, hours=hours)
        for _ in range(4):
            clean(arena, dice)
            time.sleep(5)
        clock.unlink(missing_ok=True)
        arena.note("clock is right")

    arena.beside(act)


def clean(arena: Arena, _dice: random.Random) -> None:
    """The hourly round, now."""

    def act() -> None:
        with contextlib.suppress(AssertionError, OSError, TimeoutError):
            arena.site.python(
                "from celery import current_app; current_app.send_task('jobs.clean', queue='short')"
            )
            arena.note("clean asked for")

    arena.beside(act)


def power_loss(arena: Arena, _dice: random.Random) -> None:
    """Everything is dead at once, what was not on the disk is gone, and the site starts again."""
    with arena.disturbed("power is off"):
        arena.before_power_loss()
        lost = arena.site.lose_power()
        arena.note("power loss", cut_short=lost.cut_short[:20], names=lost.names[:20], lost=len(lost))
        arena.site.start()
        arena.note("power is back")


FAULTS: dict[str, Fault] = {
    "kill_web": _kill_main("web"),
    "kill_uploads": _kill_main("uploads"),
    "kill_worker_encode": _kill_main("worker-encode"),
    "kill_worker_short": _kill_main("worker-short"),
    "kill_pool_child": kill_pool_child,
    "kill_ffmpeg": kill_ffmpeg,
    "kill_beat": _kill_main("beat"),
    "kill_broker": _kill_main("valkey"),
    "stop_worker": stop_worker,
    "freeze_worker": freeze_worker,
    "zombie": zombie,
    "flush_broker": flush_broker,
    "stop_broker": stop_broker,
    "stop_database": stop_database,
    "terminate_backends": terminate_backends,
    "fill_disk": fill_disk,
    "lying_tool": lying_tool,
    "shift_clock": shift_clock,
    "clean": clean,
    "power_loss": power_loss,
}


class Card(NamedTuple):
    """A fault, or a crash point to arm, and the pause after it."""

    name: str
    pause: float
    seed: str

    @property
    def point(self) -> str | None:
        return self.name.removeprefix("crash:") if self.name.startswith("crash:") else None


def plan(seed: int, seconds: float) -> list[Card]:
    """What goes wrong, in this order. Depends on nothing but the seed and the length.

    Long enough, it has every fault and every crash point; else a part of both that goes round with the seed.
    """
    dice = random.Random(f"plan {seed}")  # noqa: S311 - replayable on purpose
    deck = _dealt(dice, [*FAULTS, *(f"crash:{point}" for point in CRASH_POINTS)], seed)
    cards: list[Card] = []
    left = seconds
    # A full run goes through the deck once; one that is shorter than that takes what fits.
    share = max(1.2, min(4.0, (seconds - 2 * len(LED_TO)) / (len(FAULTS) + len(CRASH_POINTS)) / 1.1))
    while left > 0:
        name = next(deck)
        cards.append(Card(name, round(dice.uniform(0.6, 1.4) * share, 1), f"{seed}/{len(cards)}"))
        led = LED_TO.get(name.removeprefix("crash:")) if name.startswith("crash:") else None
        if led is not None:
            cards.append(Card(led, 1.0, f"{seed}/{len(cards)}"))
        left = seconds - sum(card.pause for card in cards)
    return cards


def _dealt(dice: random.Random, deck: list[str], seed: int) -> Iterator[str]:
    """The deck over and over; short runs of different seeds begin at different places of the first round."""
    first = deck[:]
    random.Random("deck").shuffle(first)  # noqa: S311 - the same for all seeds
    turn = seed * 7 % len(first)
    yield from first[turn:] + first[:turn]
    while True:
        dice.shuffle(deck)
        yield from deck


def _works(pid: int) -> bool:
    """Whether a process of a pool has a tool at work."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("ff"):
                return True
    return False


def _wait(ask: Callable[[], Found | None], seconds: float) -> Found | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(psycopg.Error, OSError):
            if found := ask():
                return found
        time.sleep(0.05)
    return None


def _answers(site: Site) -> bool:
    with site.database() as database:
        return database.execute("SELECT 1").fetchone() is not None


def _step_of(site: Site, pid: int) -> tuple[int, str] | None:
    with contextlib.suppress(psycopg.Error), site.database() as database:
        row = database.execute(
            "SELECT id, lease_token::text FROM jobs_step WHERE status = 'active' AND worker LIKE %s",
            [f"%/{pid}"],
        ).fetchone()
        return None if row is None else (row[0], row[1])
    return None


def _taken_over(site: Site, step: tuple[int, str]) -> bool:
    with site.database() as database:
        row = database.execute(
            "SELECT status = 'active' AND lease_token::text <> %s FROM jobs_step WHERE id = %s",
            [step[1], step[0]],
        ).fetchone()
        return bool(row and row[0])
