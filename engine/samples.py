"""Clips made from nothing, for first-time users, the self-check and the tests."""

from __future__ import annotations

import os
from pathlib import Path

from engine import runner
from engine.commands import generate_argv
from engine.control import Control
from engine.failures import failure_of, without_paths
from engine.progress import ProgressMeter, ProgressReporter
from engine.types.limits import Limits

# Colours turning round a point, drawn small because their generator is slow, with a grain that gives an
# encoder something to do.
_PICTURE = (
    "gradients=s=240x136:r={fps}:n=6:speed=0.02:type=spiral:seed=7"
    ":c0=0x14213d:c1=0x3a86ff:c2=0x8338ec:c3=0xff006e:c4=0xfb5607:c5=0xffbe0b,"
    "format=yuv420p,scale={width}:{height}:flags=bicubic,noise=c0s=6:c0f=t,setsar=1"
)

# A soft chord (A, C sharp, E) that swells, its upper notes wandering between the ears.
_SOUND = (
    "aevalsrc=exprs='"
    "0.10*sin(2*PI*220*t)*(0.7+0.3*sin(0.9*t))+0.07*sin(2*PI*277.18*t)*(0.5+0.5*sin(1.3*t))|"
    "0.10*sin(2*PI*220*t)*(0.7+0.3*cos(0.9*t))+0.07*sin(2*PI*329.63*t)*(0.5+0.5*cos(1.1*t))"
    "':s=48000:c=stereo"
)


def sample_clip(
    path: Path,
    *,
    seconds: float = 8.0,
    width: int = 1920,
    height: int = 1080,
    fps: int = 24,
    audio: bool = True,
) -> None:
    """Write an mp4 (H.264 and, with `audio`, AAC) of moving colours and a soft chord to `path`.

    The file appears whole or not at all. Raises RunFailed when ffmpeg fails.
    """
    limits = Limits(threads=max(1, min(4, os.cpu_count() or 1)))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    argv = generate_argv(
        _PICTURE.format(width=width, height=height, fps=fps),
        _SOUND if audio else None,
        part,
        seconds=seconds,
        threads=limits.threads,
    )
    meter = ProgressMeter(seconds, ProgressReporter(lambda _: None))
    try:
        outcome = runner.run(argv, cwd=path.parent, limits=limits, control=Control(), meter=meter)
        if not outcome.succeeded:
            raise failure_of(outcome, limits, log=without_paths(outcome.log, path.parent))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
