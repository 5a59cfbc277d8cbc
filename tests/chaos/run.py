"""One run: a calm beginning, a time of faults, healing, and the verdict."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.chaos import audit
from tests.chaos.checker import (
    CANCEL_SECONDS,
    TERMINAL_SECONDS,
    Evidence,
    Late,
    Verdict,
    check,
    look_of,
    raw,
    resources,
    wait_until_delivered,
    wait_until_still,
)
from tests.chaos.clips import Look, clips_make
from tests.chaos.history import History
from tests.chaos.nemesis import CRASH_POINTS, FAULTS, LED_TO, Arena, Card, plan
from tests.chaos.site import Site, chaos_site
from tests.chaos.tree import Mutant
from tests.chaos.workload import LONG, WISHES, Ledger, Worker, parameters_of
from tests.e2e.client import Client
from tests.receiver import Receiver, receiving

CLIENTS = 3
# Start, reference, healing and checks take about so long; the rest of the time things break.
CALM_SECONDS = 130.0
# From here on a run has time for the whole deck.
FULL_SECONDS = 150.0
REST_SECONDS = 120.0
# A mutant that leaves jobs behind need not be waited for as long as the real thing.
MUTANT_SECONDS = 75.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has found."""

    verdicts: list[Verdict]
    hits: dict[str, int]
    seconds: float
    healed_after: float

    @property
    def violations(self) -> list[str]:
        return [f"{verdict.name}: {text}" for verdict in self.verdicts for text in verdict.violations]


def run(seed: int, seconds: float, folder: Path, say: Say, *, mutant: Mutant | None = None) -> Outcome:
    """Breaks a site of its own for `seconds` and judges it; the history goes to `folder`."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    history = History(folder / "history.jsonl")
    with receiving() as receiver, chaos_site(mutant=mutant, trusted=f"127.0.0.1:{receiver.port}") as site:
        try:
            one = _Run(site, history, receiver, seed=seed, seconds=seconds, say=say, mutant=mutant)
            return one.go(began)
        finally:
            history.close()
            shutil.copytree(site.var / "log", folder / "log", dirs_exist_ok=True)
            shutil.copyfile(site.folder / "up.log", folder / "log" / "up.log")


class _Run:
    def __init__(
        self,
        site: Site,
        history: History,
        receiver: Receiver,
        *,
        seed: int,
        seconds: float,
        say: Say,
        mutant: Mutant | None,
    ) -> None:
        self._seed = seed
        self._seconds = seconds
        self._site = site
        self._history = history
        self._receiver = receiver
        self._say = say
        self._mutant = mutant
        self._arena = Arena(site, history)
        self._ledger = Ledger()
        self._late: list[Late] = []
        self._watched = 0
        self._over = threading.Event()

    def go(self, began: float) -> Outcome:
        with self._site.database() as database:
            audit.install(database)
        with tempfile.TemporaryDirectory() as scratch:
            clips = clips_make(Path(scratch))
            looks = self._reference(clips)
            self._say(f"site with {len(looks)} results of reference after {time.monotonic() - began:.0f} s")
            clients = [self._client(clips) for _ in range(CLIENTS)]
            accounts = [account for account, _ in clients]
            secrets = {account.name: self._webhook(account) for account in accounts}
            before = resources(self._site)
            self._break(clients, clips)
        healed_after = self._heal(accounts)
        evidence = Evidence(
            self._site, self._ledger, looks, self._arena.windows, before, self._receiver.requests, secrets,
            self._watched, self._late,
        )  # fmt: skip
        verdicts = check(evidence)
        for verdict in verdicts:
            self._history.note("checker", "verdict", **verdict._asdict())
        hits = dict.fromkeys(CRASH_POINTS, 0)
        for point, number in self._site.hits_noted():
            hits[point] += number > 0
        self._history.note("checker", "crash points", hits=hits)
        return Outcome(verdicts, hits, time.monotonic() - began, healed_after)

    # ------------------------------------------------------------------------------------ before the faults

    def _reference(self, clips: Mapping[str, Path]) -> dict[tuple[str, str, str], Look]:
        """What every wish gives on a site on which nothing goes wrong."""
        account, dice = Client(self._site.url), random.Random(0)  # noqa: S311 - keeps no secret
        videos = {name: account.upload(path) for name, path in clips.items()}
        asked = []
        for name, video in videos.items():
            ready = account.video_settled(video)
            assert ready["status"] == "ready", ready
            for wish in LONG if name == "long" else WISHES:
                operation = account.operation(video, wish, **parameters_of(wish, name, dice))
                asked.append((name, wish, operation))
        looks = {}
        for name, wish, operation in asked:
            job = account.job_ended(operation["job"]["id"])
            assert job["status"] == "completed", job
            for output in account.call("GET", f"operations/{operation['id']}", 200)["outputs"]:
                looks[name, wish, output["role"]] = look_of(self._site.media / "outputs" / output["id"])
        return looks

    def _client(self, clips: Mapping[str, Path]) -> tuple[Client, dict[str, str]]:
        """An account with one video of each clip, ready for work."""
        account = Client(self._site.url)
        videos = {name: account.upload(path) for name, path in clips.items()}
        return account, {name: str(account.video_settled(video)["id"]) for name, video in videos.items()}

    def _webhook(self, account: Client) -> str:
        url = f"http://127.0.0.1:{self._receiver.port}/{account.name}"
        events = ["job.completed", "job.failed", "job.cancelled"]
        return str(account.call("POST", "webhooks", 201, json={"url": url, "events": events})["secret"])

    # ------------------------------------------------------------------------------------------- the faults

    def _break(self, clients: list[tuple[Client, dict[str, str]]], clips: Mapping[str, Path]) -> None:
        cards = focused(self._mutant, self._seconds) if self._mutant else plan(self._seed, self._seconds)
        self._history.note("nemesis", "plan", cards=[card.name for card in cards])
        only_long = self._mutant is not None and self._mutant.name == "fencing"
        workers = [
            Worker(
                f"client-{number}",
                account=account,
                clips=clips,
                ready=ready,
                seed=f"{self._seed}",
                history=self._history,
                ledger=self._ledger,
                only_long=only_long,
            )
            for number, (account, ready) in enumerate(clients)
        ]  # fmt: skip
        watcher = threading.Thread(target=self._watch_cancels, daemon=True)
        for thread in [*workers, watcher]:
            thread.start()
        with _stopping(workers):
            self._play(cards)
            if self._mutant is not None:
                self._arena.rest()
            elif self._seconds >= FULL_SECONDS:
                self._hit_the_rest()
        self._over.set()
        watcher.join(timeout=30)

    def _play(self, cards: list[Card]) -> None:
        end = time.monotonic() + self._seconds
        for card in cards:
            if time.monotonic() > end:
                break
            if card.point is not None:
                self._site.arm(card.point)
                self._arena.note("arm", point=card.point)
            else:
                self._history.note("nemesis", "card", name=card.name)
                self._play_fault(card)
            time.sleep(card.pause)

    def _hit_the_rest(self) -> None:
        """A full run has hit every crash point: those that nobody came by are armed until somebody does."""
        self._arena.rest()
        end = time.monotonic() + REST_SECONDS
        turns = itertools.count()
        if not self._arena.woken:
            self._play_fault(Card("zombie", 0, ""))
            self._arena.rest()
        while time.monotonic() < end and (missed := self._missed()):
            for point in missed:
                self._site.arm(point)
                if led := LED_TO.get(point):
                    self._play_fault(Card(led, 0, f"{self._seed}/{point}/{next(turns)}"))
                _until(lambda point=point: self._site.hit_by(point) is not None, 6)  # type: ignore[misc]  # binds this turn's

    def _missed(self) -> list[str]:
        hit = {point for point, _ in self._site.hits_noted()}
        return [point for point in CRASH_POINTS if point not in hit]

    def _play_fault(self, card: Card) -> None:
        try:
            FAULTS[card.name](self._arena, random.Random(card.seed))  # noqa: S311 - replayable on purpose
        except (OSError, psycopg.Error) as error:
            # What it wanted to break was broken already.
            self._arena.note("could not", name=card.name, error=f"{type(error).__name__}: {error}")

    def _watch_cancels(self) -> None:
        """Five seconds after each acknowledged cancel: does one of its tools still run?"""
        done: set[str] = set()
        while not self._over.is_set() or any(
            time.time() - at < CANCEL_SECONDS for at in self._due(done).values()
        ):
            for job, at in self._due(done).items():
                if time.time() - at >= CANCEL_SECONDS:
                    done.add(job)
                    self._look_for_tools(job, at)
            time.sleep(0.1)

    def _due(self, done: set[str]) -> dict[str, float]:
        with self._ledger.lock:
            return {job: at for job, at in self._ledger.cancelled.items() if job not in done}

    def _look_for_tools(self, job: str, at: float) -> None:
        try:
            with self._site.database() as database:
                rows = database.execute("SELECT id FROM jobs_step WHERE job_id = %s", [raw(job)]).fetchall()
        except psycopg.Error:
            return
        self._watched += 1
        folders = tuple(f"work/{row[0]}/" for row in rows)
        tools = [where for where in self._site.tools().values() if f"{where}/".startswith(folders)]
        if tools:
            self._late.append(Late(job, at, tools))

    # ------------------------------------------------------------------------------------------ the healing

    def _heal(self, accounts: list[Client]) -> float:
        self._arena.heal()
        self._arena.note("healed")
        _until(self._site.is_healthy, 90)
        for account in accounts:
            for job in account.call("GET", "jobs", 200, params={"status": "paused", "limit": 200})["data"]:
                account.request("POST", f"jobs/{job['id']}/resume")
        at_most = TERMINAL_SECONDS if self._mutant is None else MUTANT_SECONDS
        seconds = wait_until_still(self._site, at_most=at_most)
        if seconds < at_most:
            wait_until_delivered(self._site)
        _until(lambda: not self._site.tools(), 5)
        return seconds


def focused(mutant: Mutant, seconds: float) -> list[Card]:
    """The faults that need what the mutant lacks, one after the other."""
    pause = seconds / len(mutant.faults)
    return [Card(name, pause, f"{mutant.name}/{number}") for number, name in enumerate(mutant.faults)]


@contextlib.contextmanager
def _stopping(workers: list[Worker]) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.over.set()
        for worker in workers:
            worker.join(timeout=200)


def _until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.3)
