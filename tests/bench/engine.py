"""`bin/bench engine`: operations end to end against the bare command with the same settings, in the same run.

Ours is measured from the POST until the job is completed, verification included, on a site of its own. Runs
alternate with the baseline's; figures are medians. CPU is that of the tools, as the jobs' rows have it.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import catalogue
from engine.binaries import ffmpeg_path
from engine.types.limits import Limits
from tests.bench.clips import Clips
from tests.bench.report import Line, report, say
from tests.e2e.client import Client
from tests.e2e.site import running_site

X264 = ["-c:v", "libx264", "-preset", "medium", "-crf", "23"]
TO_720 = ["-vf", "scale=1280:720:flags=bicubic,setsar=1,format=yuv420p"]
SOUND = ["-c:a", "copy"]
FASTSTART = ["-movflags", "+faststart"]
FIVE = (240, 360, 480, 540, 720)


@dataclass(frozen=True)
class Wish:
    """One request of a case."""

    type: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`bare` are the baseline's commands without their inputs, each with the name of what it writes."""

    name: str
    clip: str
    wishes: Sequence[Wish]
    bare: Sequence[tuple[Sequence[str], str]]
    bare_at_once: int = 1
    ratio: float | None = None
    slack: float | None = None
    cpu: float | None = None
    size: float | None = None
    vmaf: float | None = None
    frames: bool = False
    before: Sequence[str] = field(default=())
    owners: int = 1


def _sizes() -> list[Wish]:
    return [Wish("resize", {"height": height}) for height in FIVE]


def _bare_sizes() -> list[tuple[list[str], str]]:
    quick = ["-threads", "1", *X264, *SOUND, *FASTSTART]
    return [(["-vf", f"scale=-2:{height}", *quick], f"{height}.mp4") for height in FIVE]


LADDER = (1080, 720, 480, 360)
CASES = (
    Case(
        "C1 to 720p, x264 medium crf 23", "C1", [Wish("resize", {"height": 720})],
        [([*TO_720, *X264, *SOUND, *FASTSTART], "720.mp4")],
        ratio=0.97, cpu=1.0, size=0.02, vmaf=0.15, frames=True,
    ),
    *(
        Case(
            f"C1 mp4 to {kind}", "C1", [Wish("convert", {"format": kind})],
            [(["-map", "0", "-c", "copy"], f"copy.{kind}")], slack=0.6,
        )
        for kind in ("mov", "mkv")
    ),
    Case(
        "C1 mkv to mp4", "C1-mkv", [Wish("convert", {"format": "mp4"})],
        [(["-map", "0", "-c", "copy", *FASTSTART], "copy.mp4")], slack=0.6,
    ),
    Case(
        "C2 to webm, VP9", "C2", [Wish("convert", {"format": "webm"})],
        [(["-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "30", "-threads", "2", "-c:a", "libopus"], "vp9.webm")],
        ratio=0.68, size=0.05, vmaf=0.3,
    ),
    Case(
        "C1 to 720p, AV1 (SVT) preset 8", "C1",
        [Wish("pipeline", {"steps": [
            {"type": "resize", "parameters": {"height": 720}},
            {"type": "convert", "parameters": {"format": "mp4", "video_codec": "av1"}},
        ]})],
        [([*TO_720, "-c:v", "libsvtav1", "-preset", "8", "-crf", "35", *SOUND, *FASTSTART], "av1.mp4")],
        ratio=1.0, size=0.02, vmaf=0.15,
    ),
    Case(
        "2 s clip to 360p", "short", [Wish("resize", {"height": 360})],
        [(["-vf", "scale=-2:360", *X264, *SOUND, *FASTSTART], "short.mp4")], slack=0.5,
    ),
    Case(
        "ladder 1080/720/480/360 of C1", "C1", [Wish("hls", {})],
        [(["-vf", f"scale=-2:{height}", *X264, "-c:a", "aac"], f"{height}.mp4") for height in LADDER],
        ratio=0.83,
    ),
    Case(
        "exact trim 61.3 to 362.7 s of C3", "C3",
        [Wish("trim", {"start": 61.3, "end": 362.7, "mode": "exact"})],
        [([*X264, "-c:a", "aac"], "trim.mp4")], ratio=0.02, before=("-ss", "61.3", "-t", "301.4"),
    ),
    Case("C2 to five sizes at once", "C2", _sizes(), _bare_sizes(), bare_at_once=5, ratio=1.0),
    Case(
        "C1 extract audio", "C1", [Wish("extract_audio", {"format": "m4a"})],
        [(["-vn", "-c:a", "copy"], "sound.m4a")], slack=0.4,
    ),
    Case(
        "12 clips queued by 3 users", "C2", [Wish("resize", {"height": 360})] * 12,
        [(["-vf", "scale=-2:360", "-threads", "1", *X264, *SOUND], f"{number}.mp4") for number in range(12)],
        bare_at_once=2, ratio=1.03, owners=3,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One run: seconds, CPU seconds, and what came out."""

    wall: float
    cpu: float
    files: list[Path]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench engine", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="CASE", help="cases whose name has this in it")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each side")
    options = parser.parse_args()
    cases = [case for case in CASES if (options.only or "").lower() in case.name.lower()]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="videoproc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        clips = Clips(Path(os.environ.get("VIDEOPROC_BENCH_CLIPS") or folder / "clips"))
        with running_site(folder) as site:
            for case in cases:
                say(f"{case.name} …")
                lines += _case(case, clips, site.url, folder, options.repeat)
    report("engine", lines)
    return 0


def _case(case: Case, clips: Clips, url: str, folder: Path, repeat: int) -> list[Line]:
    reason = _missing(case)
    if reason:
        return [Line(f"{case.name}: not there yet ({reason})", None, "")]
    source = clips.get(case.clip)
    bare, ours = [], []
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for number in range(repeat):
            bare.append(_bare(case, source, Path(made, f"bare-{number}")))
            ours.append(_ours(case, source, url, Path(made, f"ours-{number}")))
        return _lines(case, source, bare, ours)


def _missing(case: Case) -> str:
    """Why the site cannot do what the case asks for; empty when it can."""
    for wish in case.wishes:
        operation = catalogue.operations().get(wish.type)
        if operation is None:
            return f"no operation {wish.type}"
        try:
            catalogue.parameters_for(wish.type, wish.parameters)
        except ValueError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a Problem names the field
            return f"{wish.type}: {getattr(error, 'data', error)}"
    return ""


def _bare(case: Case, source: Path, folder: Path) -> Measured:
    folder.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()

    def run(command: tuple[Sequence[str], str]) -> Path:
        target = folder / command[1]
        # As considerate as ours, or whatever else runs on the machine would slow down one side alone.
        argv = ["nice", "-n", str(Limits().nice), str(ffmpeg_path()), "-nostdin", "-v", "error", "-y"]
        argv += [*case.before, "-i", str(source)]
        subprocess.run([*argv, *command[0], str(target)], check=True)
        return target

    with ThreadPoolExecutor(case.bare_at_once) as threads:
        files = list(threads.map(run, case.bare))
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, files)


def _ours(case: Case, source: Path, url: str, folder: Path) -> Measured:
    """A fresh account and upload each time, because equal requests would find the earlier result."""
    folder.mkdir()
    people = [Client(url) for _ in range(case.owners)]
    each = len(case.wishes) // len(people)
    asked = []
    for number, wish in enumerate(case.wishes):
        client = people[number // each]
        repeated = case.wishes.index(wish) != number
        if number % each == 0 or repeated:
            video = client.ready_video(source)
        asked.append((client, video, wish))
    started = time.monotonic()
    jobs = [(client, client.operation(video, wish.type, **wish.parameters)) for client, video, wish in asked]
    ended = [client.job_ended(operation["job"]["id"], 3600) for client, operation in jobs]
    wall = time.monotonic() - started
    assert all(job["status"] == "completed" for job in ended), [job["error"] for job in ended]
    files = [_downloaded(client, operation, folder) for client, operation in jobs[:1]]
    return Measured(wall, sum(job["cpu_seconds"] for job in ended), files)


def _downloaded(client: Client, operation: dict[str, Any], folder: Path) -> Path:
    found = client.call("GET", f"operations/{operation['id']}", 200)
    output = found["outputs"][0]
    path: Path = folder / "result"
    path.write_bytes(client.download(output["url"]))
    return path


def _lines(case: Case, source: Path, bare: list[Measured], ours: list[Measured]) -> list[Line]:
    def median(runs: list[Measured], of: Callable[[Measured], float]) -> float:
        return statistics.median(of(run) for run in runs)

    walls = median(ours, lambda run: run.wall), median(bare, lambda run: run.wall)
    cpus = median(ours, lambda run: run.cpu), median(bare, lambda run: run.cpu)
    lines = []
    if case.slack is not None:
        met = walls[0] <= walls[1] + case.slack
        lines.append(_line(f"{case.name}: wall", walls, "s", f"<= bare + {case.slack:g}", met))
    else:
        met = case.ratio is None or walls[0] <= case.ratio * walls[1]
        lines.append(_line(f"{case.name}: wall", walls, "s", f"<= {case.ratio:g} x", met))
    met_cpu = None if case.cpu is None else cpus[0] <= case.cpu * cpus[1]
    lines.append(_line(f"{case.name}: CPU", cpus, "s", f"<= {case.cpu:g} x" if case.cpu else "", met_cpu))
    one, other = ours[-1].files[0], bare[-1].files[0]
    if case.size is not None:
        sizes = one.stat().st_size / 1e6, other.stat().st_size / 1e6
        met = abs(sizes[0] / sizes[1] - 1) <= case.size
        lines.append(_line(f"{case.name}: size", sizes, "MB", f"within {case.size:.0%}", met))
    if case.vmaf is not None:
        scores = _vmaf(one, source), _vmaf(other, source)
        if scores[0] is not None and scores[1] is not None:
            met = scores[0] >= scores[1] - case.vmaf
            lines.append(
                _line(f"{case.name}: VMAF", (scores[0], scores[1]), "", f"within {case.vmaf:g}", met)
            )
    if case.frames:
        counts = _frames(one), _frames(other)
        lines.append(_line(f"{case.name}: frames", counts, "", "equal", counts[0] == counts[1]))
    return lines


def _line(name: str, values: tuple[float, float], unit: str, target: str, met: bool | None) -> Line:
    ratio = values[0] / values[1] if values[1] else None
    return Line(name, values[0], unit, values[1], ratio, target, met)


def _frames(path: Path) -> float:
    command = [str(ffmpeg_path()), "-v", "error", "-i", str(path), "-map", "0:v:0", "-c", "copy"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], check=True, capture_output=True, text=True)
    return sum(line[:1].isdigit() for line in done.stdout.splitlines())


def _vmaf(path: Path, source: Path) -> float | None:
    """How alike the two look, 0 to 100; None where this ffmpeg cannot tell."""
    full = "scale=1920:1080:flags=bicubic"
    graph = f"[0:v]{full}[a];[1:v]{full}[b];[a][b]libvmaf=n_threads=2:n_subsample=5"
    command = [str(ffmpeg_path()), "-nostdin", "-hide_banner", "-i", str(path), "-i", str(source)]
    done = subprocess.run(
        [*command, "-lavfi", graph, "-f", "null", "-"], check=False, capture_output=True, text=True
    )
    score = re.search(r"VMAF score: ([\d.]+)", done.stderr)
    return float(score[1]) if score else None


if __name__ == "__main__":
    raise SystemExit(main())
