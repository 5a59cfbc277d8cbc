"""Every frame and every sound of a file, by a decoder of our own: when it is shown, how bright, how loud."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.binaries import ffmpeg_path
from tests.engine.results import raw_probe

_SIDE = 16
_BRIGHT = 240
_LOUD = 0.25
_SHOWN = re.compile(r"Parsed_showinfo.* pts_time:\s*(-?[\d.]+)")


@dataclass(frozen=True)
class Watched:
    """What one sees and hears of a file; times are seconds after its beginning."""

    times: tuple[float, ...]
    pictures: tuple[bytes, ...]
    loudness: tuple[float, ...]
    duration: float
    size: tuple[int, int]
    tracks: int
    languages: tuple[str, ...]

    @property
    def flash(self) -> float | None:
        """When the picture turns white; None if it does not while one looks."""
        white = [sum(picture) / len(picture) >= _BRIGHT for picture in self.pictures]
        turns = [at for at in range(1, len(white)) if white[at] and not white[at - 1]]
        return self.times[turns[0]] if turns else None

    @property
    def beep(self) -> float | None:
        """When the sound becomes loud; None if it does not while one listens."""
        top = max(self.loudness, default=0.0)
        turns = [
            at
            for at in range(1, len(self.loudness))
            if self.loudness[at] >= top / 2 > self.loudness[at - 1] and min(self.loudness[:at]) < top / 5
        ]
        return turns[0] / 100 if turns and top >= _LOUD else None

    @property
    def offset(self) -> float | None:
        """How much later than the flash the tone is heard."""
        return None if self.flash is None or self.beep is None else self.beep - self.flash

    @property
    def gap(self) -> float:
        """The usual time between two frames."""
        gaps = sorted(after - before for before, after in zip(self.times, self.times[1:], strict=False))
        return gaps[len(gaps) // 2] if gaps else 0.04

    @property
    def uneven(self) -> bool:
        """Whether frames come at times of their own."""
        gaps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        return bool(gaps) and max(gaps) > 1.2 * min(gaps)

    @property
    def shown_until(self) -> float:
        return self.times[-1] + self.gap if self.times else 0.0

    @property
    def heard_until(self) -> float:
        return len(self.loudness) / 100


def watch(path: Path) -> Watched:
    """Decode everything. Asserts that it can be, without a complaint."""
    probed = raw_probe(path)
    kinds = [stream["codec_type"] for stream in probed["streams"]]
    sounds = [stream for stream in probed["streams"] if stream["codec_type"] == "audio"]
    # The tool counts from the first of the streams it reads, not from the file's beginning.
    zero = float(probed["format"].get("start_time", 0))
    times, pictures = _pictures(path, zero) if "video" in kinds else ((), ())
    return Watched(
        times=times,
        pictures=pictures,
        loudness=_loudness(path, zero) if sounds else (),
        duration=float(probed["format"].get("duration", 0)),
        size=_size(next((stream for stream in probed["streams"] if stream["codec_type"] == "video"), {})),
        tracks=len(sounds),
        languages=tuple(stream.get("tags", {}).get("language", "und") for stream in sounds),
    )


def _size(stream: Mapping[str, Any]) -> tuple[int, int]:
    """As it is seen."""
    turned = [round(float(data.get("rotation", 0))) % 180 for data in stream.get("side_data_list", ())]
    width, height = stream.get("width", 0), stream.get("height", 0)
    return (height, width) if any(turned) else (width, height)


def _loudness(path: Path, zero: float) -> tuple[float, ...]:
    chain = f"asetpts=PTS-{zero:.6f}/TB,aresample=8000:async=1:first_pts=0"
    command = [str(ffmpeg_path()), "-v", "error", "-copyts", "-i", str(path), "-map", "0:a:0", "-ac", "1"]
    command += ["-af", chain, "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    samples = memoryview(raw).cast("h")
    return tuple(max(map(abs, samples[at : at + 80])) / 32768 for at in range(0, len(samples), 80))


def _pictures(path: Path, zero: float) -> tuple[tuple[float, ...], tuple[bytes, ...]]:
    chain = f"scale={_SIDE}:{_SIDE}:flags=area,format=gray,showinfo=checksum=0"
    command = [str(ffmpeg_path()), "-v", "info", "-nostats", "-copyts", "-i", str(path)]
    command += ["-map", "0:v:0", "-vf", chain, "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    run = subprocess.run(command, check=True, capture_output=True)
    times = tuple(float(found) - zero for found in _SHOWN.findall(run.stderr.decode(errors="replace")))
    size = _SIDE * _SIDE
    pictures = tuple(run.stdout[at : at + size] for at in range(0, len(run.stdout), size))
    assert len(times) == len(pictures)
    return times, pictures
