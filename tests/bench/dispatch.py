"""`bin/bench dispatch`: how soon work starts on an idle site, what it costs besides the tools, and claims in
a long queue.

- The time from the answer to a POST to the start of ffmpeg is taken by ffmpeg itself: the site is given a
  ffmpeg that first says when it was started, into the job's log.
- Then the lane is drained by an administrator, 1,000 tiny jobs are queued and the lane is opened again. The
  processor time of all processes of the site until the last job has ended, less that of the tools, is the
  overhead: workers, PostgreSQL, Valkey, web, edge, beat and Flower, with what they use when idle.
- Claims are timed in a database of their own, with 1,000 and with 100,000 steps waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from engine.binaries import ffmpeg_path
from engine.samples import sample_clip
from tests.bench.processes import cpu_seconds
from tests.bench.report import ROOT, Line, report, say
from tests.e2e.client import Client, Json
from tests.e2e.site import Site, running_site
from videoproc.embedded.servers import test_servers

MEDIAN_MS, P95_MS, OVERHEAD_MS, GROWTH = 60.0, 150.0, 40.0, 2.0
_WARM_UP = 14
LIVE = ("queued", "active")
_TELLING = """#!/bin/bash
echo "started at ${EPOCHREALTIME/,/.}" >&2
exec "$VIDEOPROC_BENCH_FFMPEG" "$@"
"""
INSIDE = "import django; django.setup(); from tests.bench.dispatch_site.claims import main; main()"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench dispatch", description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=60, metavar="N", help="jobs on the idle site")
    parser.add_argument(
        "--jobs", type=int, default=1000, metavar="N", help="jobs in the queue that is drained"
    )
    parser.add_argument("--only", choices=["starts", "drain", "claims"], help="one part alone")
    options = parser.parse_args()
    lines = claims() if options.only in {None, "claims"} else []
    with tempfile.TemporaryDirectory(prefix="videoproc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        clip = folder / "clip.mp4"
        sample_clip(clip, seconds=1.0, width=96, height=64, fps=12)
        if options.only in {None, "starts"}:
            (folder / "starts").mkdir(mode=0o755)
            with _telling_ffmpeg(folder), running_site(folder / "starts") as site:
                lines += starts(site, clip, options.starts)
        if options.only in {None, "drain"}:
            (folder / "drain").mkdir(mode=0o755)
            with running_site(folder / "drain") as site:
                lines += drain(site, clip, options.jobs)
    report("dispatch", lines)
    return 0


class _telling_ffmpeg:  # noqa: N801 - used as a function
    """The site's ffmpeg says when it was started."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ffmpeg"
        # The sandbox keeps the tool's environment clean, so the path is written in.
        self._path.write_text(_TELLING.replace("$VIDEOPROC_BENCH_FFMPEG", str(ffmpeg_path())))
        self._path.chmod(0o755)

    def __enter__(self) -> None:
        self._before = os.environ.get("FFMPEG")
        os.environ["FFMPEG"] = str(self._path)

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ["FFMPEG"]
        else:
            os.environ["FFMPEG"] = self._before


def starts(site: Site, clip: Path, number: int) -> list[Line]:
    """From the answer to the POST to ffmpeg."""
    client = Client(site.url)
    video = client.ready_video(clip)
    taken = []
    say(f"{number} jobs, one after the other …")
    for turn in range(_WARM_UP + number):
        operation = client.operation(video, "trim", start=turn / 1000, end=0.6, mode="exact")
        answered = time.time()
        job = client.job_ended(operation["job"]["id"])
        assert job["status"] == "completed", job["error"]
        log = client.request("GET", f"jobs/{job['id']}/log").text
        found = re.search(r"started at ([0-9.]+)", log)
        assert found is not None, log
        if turn >= _WARM_UP:
            taken.append(1000 * (float(found[1]) - answered))
        time.sleep(0.2)
    cut = statistics.quantiles(taken, n=20, method="inclusive")
    middle = statistics.median(taken)
    return [
        Line("POST answered to ffmpeg started, median", middle, "ms", None, None, f"<= {MEDIAN_MS:g}",
             middle <= MEDIAN_MS),
        Line("POST answered to ffmpeg started, p95", cut[-1], "ms", None, None, f"<= {P95_MS:g}",
             cut[-1] <= P95_MS),
        Line("POST answered to ffmpeg started, longest", max(taken), "ms"),
    ]  # fmt: skip


_SETTINGS = (
    "from jobs.site import site_settings, site_settings_save; s = site_settings();"
    " s.drained_encode = {}; site_settings_save(s)"
)
_TOOLS = (
    "from django.db.models import Sum; from jobs.models import Job;"
    " print('TOOLS', Job.objects.filter(type='trim').aggregate(s=Sum('cpu_seconds'))['s'])"
)


def drain(site: Site, clip: Path, number: int) -> list[Line]:
    """The processor time of everything but the tools, for each of many tiny jobs."""
    client = Client(site.url)
    video = client.ready_video(clip)
    warm = client.operation(video, "trim", start=0.0, end=0.4, mode="exact")
    client.job_ended(warm["job"]["id"])
    site.manage("shell", "-c", _SETTINGS.format(True))
    say(f"{number} jobs are queued …")
    jobs = [_queued(client, video, turn) for turn in range(number)]
    site.manage("shell", "-c", _SETTINGS.format(False))
    tools = _tools(site)
    before, began = cpu_seconds(site.process.pid), time.monotonic()
    # Waiting costs the site a look every few seconds.
    while any(
        client.call("GET", "jobs", 200, params={"status": state, "limit": 1})["data"] for state in LIVE
    ):
        time.sleep(2.0)
    wall = time.monotonic() - began
    after = cpu_seconds(site.process.pid)
    for job in jobs:
        ended = client.call("GET", f"jobs/{job}", 200)
        assert ended["status"] == "completed", ended["error"]
    used = Counter({name: seconds - before.get(name, 0.0) for name, seconds in after.items()})
    spent = _tools(site) - tools
    overhead = 1000 * (used.total() - spent) / number
    lines = [
        Line("overhead of a tiny job, CPU", overhead, "ms", None, None, f"<= {OVERHEAD_MS:g}",
             overhead <= OVERHEAD_MS),
        Line("tools of a tiny job, CPU", 1000 * spent / number, "ms"),
        Line("jobs in a second", number / wall, "/s"),
    ]  # fmt: skip
    for name, seconds in used.most_common():
        less = spent if name == "worker-encode" else 0.0
        lines.append(Line(f"  of it {name}", 1000 * (seconds - less) / number, "ms"))
    return lines


def _queued(client: Client, video: Json, turn: int) -> str:
    # Times count in milliseconds; each of these is another operation.
    begin, end = turn % 40 / 1000, 0.5 + turn // 40 / 100
    operation = client.operation(video, "trim", start=begin, end=end, mode="exact")
    return str(operation["job"]["id"])


def _tools(site: Site) -> float:
    said = site.manage("shell", "-c", _TOOLS)
    return float(said.partition("TOOLS")[2].split()[0])


def claims() -> list[Line]:
    """With 1,000 and with 100,000 steps waiting."""
    say("claims …")
    with test_servers() as urls:
        environment = {
            **os.environ,
            "DATABASE_URL": urls.database,
            "REDIS_URL": urls.redis,
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
            "VIDEOPROC_SECRET_KEY": "for-benchmarks-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
        }
        done = subprocess.run(
            [sys.executable, "-c", INSIDE], check=True, env=environment, cwd=ROOT, stdout=subprocess.PIPE
        )
    found = json.loads(done.stdout.splitlines()[-1])
    growth = found["many"] / found["few"]
    return [
        Line("claim, 100,000 steps wait instead of 1,000", found["many"], "ms", found["few"], growth,
             f"< {GROWTH:g} x", growth < GROWTH)
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
