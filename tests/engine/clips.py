"""Clips made by ffmpeg for the tests: small, and each with one thing that matters."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from engine.binaries import ffmpeg_path

SECONDS = 3


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg as a person would, without the engine's sandbox."""
    command = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def picture(size: str = "320x180", rate: str = "25", seconds: float = SECONDS) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def sound(frequency: int = 440, seconds: float = SECONDS, layout: str = "stereo") -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=f={frequency}:d={seconds},aformat=channel_layouts={layout}"]


H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]

# The kinds of files the product promises to take: arguments after a picture and a sound input.
CONTAINERS: dict[str, Sequence[str]] = {
    "mp4": (*H264, "-c:a", "aac", "-f", "mp4"),
    "mov": (*H264, "-c:a", "aac", "-f", "mov"),
    "avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm"),
    "mkv": (*H264, "-c:a", "ac3", "-f", "matroska"),
    "flv": ("-c:v", "flv", "-ar", "44100", "-c:a", "libmp3lame", "-f", "flv"),
    "ts": ("-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts"),
    "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpeg"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"),
    "3gp": ("-c:v", "mpeg4", "-c:a", "aac", "-f", "3gp"),
    "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg"),
}


class Clips:
    """Makes each clip once and hands out its path; every file is called `source`, as in the storage."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        path = self._root / name / "source"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def container(self, name: str) -> Path:
        return self.made(name, *picture(), *sound(), *CONTAINERS[name])

    def made(self, name: str, *arguments: str | Path) -> Path:
        """The clip of these arguments; the name is for people, and may come twice for different clips."""
        digest = hashlib.sha256(repr([str(word) for word in arguments]).encode()).hexdigest()
        path = self.path(f"{name}-{digest[:8]}")
        if not path.exists():
            ffmpeg(*arguments, path)
        return path

    def written(self, name: str, data: bytes) -> Path:
        path = self.path(name)
        path.write_bytes(data)
        return path

    def long(self) -> Path:
        """Half a minute: cheap to make and, enlarged, enough work to be watched and interrupted."""
        return self.made("long", *picture(seconds=30), *H264, "-f", "mp4")

    def hdr(self) -> Path:
        """A second of high dynamic range in 10 bits."""
        colours = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
        tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
        return self.made(
            "hdr", *picture(seconds=1), "-vf", f"format=yuv420p10le,{tags}", *colours, "-c:v", "libx265",
            "-preset", "ultrafast", "-x265-params", "log-level=error", "-f", "mp4",
        )  # fmt: skip
