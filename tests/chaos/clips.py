"""Sources for the clients, and what a result looks like once it is decoded."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

from engine.binaries import ffmpeg_path

_WIDTH, _HEIGHT = 32, 18
_RATE = 8000
# Encoders that get another number of threads make slightly other pictures.
_PICTURE_TOLERANCE, _WORST_PICTURE = 5.0, 16.0
_SOUND_TOLERANCE = _RATE // 10


class Clip(NamedTuple):
    """How a source is made. `keys` is the distance of its key frames."""

    seconds: float
    size: str
    keys: int


CLIPS = {
    # Long encodes of it are divided at its key frames.
    "keyed": Clip(5, "160x90", 25),
    "plain": Clip(2, "160x90", 300),
    "long": Clip(10, "480x270", 400),
}


class Look(NamedTuple):
    """What is seen and heard: every frame as a tiny grey picture, and the number of samples."""

    frames: bytes
    samples: int

    @property
    def pictures(self) -> int:
        return len(self.frames) // (_WIDTH * _HEIGHT)


def clips_make(folder: Path) -> dict[str, Path]:
    found = {}
    for name, clip in CLIPS.items():
        path = folder / f"{name}.mp4"
        source = f"testsrc2=size={clip.size}:rate=25:duration={clip.seconds},noise=alls=12:allf=t"
        _ffmpeg(
            *(
                "-f",
                "lavfi",
                "-i",
                source,
                "-f",
                "lavfi",
                "-i",
                f"sine=frequency=330:duration={clip.seconds}",
            ),
            *("-c:v", "libx264", "-preset", "veryfast", "-g", str(clip.keys), "-sc_threshold", "0"),
            *("-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", str(path)),
        )
        found[name] = path
    return found


def look_at(path: Path) -> Look:
    """Decodes a file. What cannot be decoded looks like nothing."""
    picture = [
        "-map",
        "0:v:0",
        "-vf",
        f"scale={_WIDTH}:{_HEIGHT}:flags=area,format=gray",
        "-fps_mode",
        "passthrough",
    ]
    frames = _ffmpeg("-i", str(path), *picture, "-f", "rawvideo", "-", check=False)
    sound = _ffmpeg(
        "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", str(_RATE), "-f", "s16le", "-", check=False
    )
    return Look(frames, len(sound) // 2)


def difference(found: Look, wanted: Look) -> str:
    """How a result differs from the one of a site on which nothing went wrong; empty where it does not."""
    if found.pictures != wanted.pictures:
        return f"{found.pictures} frames instead of {wanted.pictures}"
    if abs(found.samples - wanted.samples) > _SOUND_TOLERANCE:
        return f"{found.samples} samples instead of {wanted.samples}"
    size = _WIDTH * _HEIGHT
    worst = [
        sum(
            abs(a - b)
            for a, b in zip(found.frames[at : at + size], wanted.frames[at : at + size], strict=True)
        )
        / size
        for at in range(0, len(found.frames), size)
    ]
    if worst and (max(worst) > _WORST_PICTURE or sum(worst) / len(worst) > _PICTURE_TOLERANCE):
        return f"other pictures: {max(worst):.1f} apart at worst, {sum(worst) / len(worst):.1f} on average"
    return ""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _ffmpeg(*arguments: str, check: bool = True) -> bytes:
    argv = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y", *arguments]
    return subprocess.run(argv, check=check, capture_output=True).stdout
