"""Clips for benchmarks: a real film where the package index has it, else something with as much texture.

moviepy's source package holds ten minutes of Big Buck Bunny (720p, 24 frames a second). What perf.md calls C1
to C3 is made of it: at 30 frames a second, in 1080p and with grain, so that there is something to encode.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from engine.binaries import ffmpeg_path

_FILM = "bbb.mp4"
_ENCODED = (
    "-c:v", "libx264", "-preset", "veryfast", "-b:v", "5600k", "-pix_fmt", "yuv420p",
    "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", "-f", "mp4",
)  # fmt: skip


class Clips:
    """Made once and kept in `folder`, whatever clip is asked for first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Path:
        """`C1` (60 s of 1080p30 with sound), `C2` (its first 10 s), `C3` (10 minutes) or `short` (2 s).

        `C1-mkv` is C1 in Matroska.
        """
        if name == "C1-mkv":
            return self._matroska()
        seconds = {"C1": 60, "C2": 10, "C3": 600, "short": 2}[name]
        path = self._folder / f"{name}.mp4"
        if not path.exists():
            half = path.with_suffix(".part")
            if name == "C1":
                self._film_of(seconds, half)
            elif name == "C3":
                _ffmpeg("-stream_loop", "9", "-i", self.get("C1"), "-c", "copy", "-f", "mp4", half)
            else:
                _ffmpeg("-i", self.get("C1"), "-t", str(seconds), *_ENCODED, half)
            half.replace(path)
        return path

    def _matroska(self) -> Path:
        path = self._folder / "C1.mkv"
        if not path.exists():
            half = path.with_suffix(".part")
            _ffmpeg("-i", self.get("C1"), "-map", "0", "-c", "copy", "-f", "matroska", half)
            half.replace(path)
        return path

    def _film_of(self, seconds: int, target: Path) -> None:
        film = self._film()
        length = ["-t", str(seconds)]
        if film is None:
            moving = "mandelbrot=s=1920x1080:r=30:maxiter=500,noise=alls=12:allf=t"
            source = ["-f", "lavfi", "-i", moving, "-f", "lavfi", "-i", "anoisesrc=a=0.1"]
            _ffmpeg(*source, *length, *_ENCODED, target)
            return
        chain = "setpts=N/30/TB,scale=1920:1080:flags=lanczos,noise=alls=5:allf=t"
        _ffmpeg(
            "-ss",
            "20",
            "-i",
            film,
            "-vf",
            chain,
            "-r",
            "30",
            "-af",
            "atempo=1.25",
            *length,
            *_ENCODED,
            target,
        )

    def _film(self) -> Path | None:
        """The film out of moviepy's source package, or None where it cannot be had."""
        path = self._folder / _FILM
        if path.exists():
            return path
        # Environments made by uv have no pip; the one they were made with usually has.
        python = (
            sys.executable if find_spec("pip") else shutil.which("python3", path="/usr/bin:/usr/local/bin")
        )
        command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "moviepy"]
        try:
            subprocess.run([*command, "-d", str(self._folder), "moviepy==2.2.1"], check=True, timeout=600)
            (package,) = self._folder.glob("moviepy-*.tar.gz")
            with tarfile.open(package) as tar:
                inner = next(member for member in tar if member.name.endswith(".zip"))
                content = tar.extractfile(inner)
                assert content is not None
                with zipfile.ZipFile(BytesIO(content.read())) as archive:
                    name = next(name for name in archive.namelist() if name.endswith(_FILM))
                    path.write_bytes(archive.read(name))
        except (OSError, subprocess.SubprocessError, StopIteration, ValueError) as error:
            sys.stderr.write(f"no film from the package index ({error}); a generated clip is used\n")
            return None
        return path


def _ffmpeg(*arguments: str | Path) -> None:
    command = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)
