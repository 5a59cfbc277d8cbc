"""`bin/bench eta`: how right the expected end of a job is after a fifth of its time.

On a site of its own, which knows nothing at first. One round of jobs is there to be learned from. The second
asks for the same operations, and for some that are only alike, of other clips: other pictures, other lengths.
Each job is looked at all the time, as its owner may; of the looks, the one at a fifth of the time between its
start and its end counts. The error is that of the seconds left then, against those that were really left.
Where the site still said that it was estimating, the job counts as missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.binaries import ffmpeg_path
from tests.bench.clips import Clips
from tests.bench.report import Line, report, say
from tests.e2e.client import Client, Json
from tests.e2e.site import running_site

SHARE, ERROR, MET = 0.2, 0.25, 0.8
_EACH = 0.05
_STORED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac")


@dataclass(frozen=True)
class Wish:
    """One job: which clip, and what of it."""

    clip: str
    type: str
    parameters: dict[str, Any]


def _wish(clip: str, type_: str, **parameters: Any) -> Wish:
    return Wish(clip, type_, parameters)


# Name -> picture, width, height, seconds. Of each pair the first is learned from.
GENERATED = {
    "hd-1": ("testsrc2=s={size}:r=25,noise=alls=12:allf=t", 1280, 720, 12),
    "hd-2": ("mandelbrot=s={size}:r=25:maxiter=300,noise=alls=6:allf=t", 1280, 720, 20),
    "sd-1": ("mandelbrot=s={size}:r=30:maxiter=300,noise=alls=8:allf=t", 640, 360, 25),
    "sd-2": ("testsrc2=s={size}:r=30,noise=alls=10:allf=t", 640, 360, 40),
    "small-1": ("testsrc2=s={size}:r=24", 320, 180, 20),
    "small-2": ("mandelbrot=s={size}:r=24:maxiter=200,noise=alls=5:allf=t", 320, 180, 35),
}


def _round(hd: str, sd: str, small: str) -> list[Wish]:
    return [
        _wish(hd, "resize", height=480),
        _wish(hd, "convert", format="mp4", video_codec="h264", preset="fast", crf=24),
        _wish(hd, "convert", format="mp4", video_codec="hevc", preset="fastest"),
        _wish(hd, "convert", format="mp4", video_codec="av1", preset="fastest"),
        _wish(hd, "crop", width=640, height=640, x=100, y=20),
        _wish(hd, "trim", start=1.0, end=10.0, mode="exact"),
        _wish(sd, "resize", height=240),
        _wish(sd, "convert", format="webm", preset="fastest"),
        _wish(sd, "speed", factor=1.5),
        _wish(sd, "gif", start=0, duration=6),
        _wish(sd, "reverse"),
        _wish(sd, "rotate", degrees=90),
        _wish(sd, "watermark", text="Videoproc"),
        _wish(sd, "hls"),
        _wish(small, "resize", height=120),
        _wish(small, "convert", format="avi"),
        _wish(small, "loudness"),
        _wish(small, "compress", target_quality=85),
        _wish(small, "extract_audio", format="mp3"),
        _wish(small, "convert", format="mkv"),
    ]


LEARNED = _round("hd-1", "sd-1", "small-1")
ASKED = [
    *_round("hd-2", "sd-2", "small-2"),
    # Never seen so before.
    _wish("hd-2", "resize", height=540),
    _wish("sd-2", "convert", format="mp4", video_codec="hevc", preset="fast"),
    _wish("sd-2", "crop", width=200, height=200, x=10, y=10),
]


@dataclass(frozen=True)
class Judged:
    """What was expected at a fifth of the time of a job; seconds. None while it was being estimated."""

    name: str
    whole: float
    left: float
    expected: float | None
    within: bool

    @property
    def error(self) -> float | None:
        return None if self.expected is None else abs(self.expected - self.left) / self.left


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench eta", description=__doc__.partition("\n")[0])
    parser.add_argument("--together", action="store_true", help="and once more all at once, in the queue")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="videoproc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        paths = _clips(folder)
        with running_site(folder) as site:
            say("a round to learn from …")
            first = _one_by_one(site.url, LEARNED, paths)
            say("the same of other clips …")
            second = _one_by_one(site.url, ASKED, paths)
            third = _all_at_once(site.url, ASKED, paths) if options.together else []
    lines = [*_lines("nothing learned before", first, target=False), *_lines("asked", second, target=True)]
    lines += _lines("all at once", third, target=False) if third else []
    report("eta", lines)
    return 0


def _clips(folder: Path) -> dict[str, Path]:
    made = {}
    for name, (picture, width, height, seconds) in GENERATED.items():
        path = folder / f"{name}.mp4"
        source = picture.format(size=f"{width}x{height}")
        inputs = ["-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "anoisesrc=a=0.05:r=44100"]
        command = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y", *inputs, "-t", str(seconds)]
        subprocess.run([*command, *_STORED, str(path)], check=True)
        made[name] = path
    if real := os.environ.get("VIDEOPROC_BENCH_CLIPS"):
        # Real pictures are judged by what was learned of made ones.
        made["hd-2"] = Clips(Path(real)).get("C2")
    return made


def _one_by_one(url: str, wishes: Sequence[Wish], paths: dict[str, Path]) -> list[Judged]:
    client, videos = Client(url), {}
    judged = []
    for wish in wishes:
        if wish.clip not in videos:
            videos[wish.clip] = client.ready_video(paths[wish.clip])
        operation = client.operation(videos[wish.clip], wish.type, **wish.parameters)
        judged.append(_followed(client, wish, operation["job"]))
    return judged


def _all_at_once(url: str, wishes: Sequence[Wish], paths: dict[str, Path]) -> list[Judged]:
    client = Client(url)
    videos = {name: client.ready_video(paths[name]) for name in {wish.clip for wish in wishes}}
    jobs = [client.operation(videos[wish.clip], wish.type, **wish.parameters)["job"] for wish in wishes]
    with ThreadPoolExecutor(len(wishes)) as threads:
        return list(threads.map(lambda pair: _followed(client, *pair), zip(wishes, jobs, strict=True)))


def _followed(client: Client, wish: Wish, job: Json) -> Judged:
    """Looks at the job until it ends."""
    looks: list[tuple[float, Json | None]] = []
    while job["status"] in {"queued", "active"}:
        if job["status"] == "active":
            looks.append((time.time(), job["estimate"]))
        # Short jobs are looked at often, long ones seldom enough not to slow them down.
        time.sleep(_EACH if len(looks) < 40 else 10 * _EACH)
        job = client.call("GET", f"jobs/{job['id']}", 200)
    assert job["status"] == "completed", (wish, job["error"])
    began, ended = _moment(job["started_at"]), _moment(job["finished_at"])
    at, told = min(
        looks, key=lambda look: abs(look[0] - began - SHARE * (ended - began)), default=(began, None)
    )
    known = told is not None and told["state"] == "known"
    expected = _moment(told["ends_at"]) - at if told is not None and known else None
    within = (
        told is not None
        and known
        and (_moment(told["ends_earliest"]) <= ended <= _moment(told["ends_latest"]))
    )
    name = f"{wish.type} {wish.clip} {' '.join(str(value) for value in wish.parameters.values())}"
    found = Judged(name, ended - began, ended - at, expected, within)
    say(f"  {name:44} {found.whole:6.1f} s, at {at - began:5.1f} s left {found.left:5.1f}, expected "
        f"{'-' if expected is None else f'{expected:5.1f}'}")  # fmt: skip
    return found


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _lines(name: str, judged: Sequence[Judged], *, target: bool) -> list[Line]:
    errors = [one.error for one in judged]
    good = sum(error is not None and error <= ERROR for error in errors) / len(judged)
    known = [error for error in errors if error is not None]
    met = good >= MET if target else None
    lines = [
        Line(f"{name}: jobs with an error of at most {ERROR:.0%}", good, "", None, None,
             f">= {MET:g}" if target else "", met),
        Line(f"{name}: median error", statistics.median(known) if known else None, ""),
        Line(f"{name}: told something at a fifth", len(known) / len(judged), ""),
        Line(f"{name}: ended within the range", sum(one.within for one in judged) / len(judged), ""),
    ]  # fmt: skip
    return lines + [Line(f"  {one.name}", one.error, "", None, None, f"{one.whole:.1f} s") for one in judged]


if __name__ == "__main__":
    sys.exit(main())
