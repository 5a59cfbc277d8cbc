"""What a step has to do, before it is known how fast this server is: its kind and its amount of work. Pure.

The amount is in seconds of an imagined processor, from the engine's tables of codecs. It need not be right:
what is learned for a kind is how long its steps take for each of these seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from engine.codecs import PRESET_SPEEDS, VIDEO_CODECS, VideoCodec
from engine.types.media import MediaInfo
from engine.types.plan import ExpectedStream, Plan, StepPlan
from engine.types.recipes import FileRecipe, Run, StreamRecipe

ANY = "*"
NONE = "-"
INTAKE = "intake"

# Starting the tools, the probe and the looks at the result: about the same for each step.
_BASE = 0.6
_DECODED_PIXELS, _COPIED_BYTES, _INSPECTED_BYTES = 400e6, 150e6, 300e6  # in a second
_SOUND = 0.02  # seconds for a second of sound
_USUAL_SPEED = 60e6  # pixels in a second, of encoders that the tables do not have
_USUAL_RATE = 25.0
_SMALL_PICTURE = 320 * 180
_ENCODERS = {codec.encoder: codec for codec in VIDEO_CODECS.values()}
_NAMES = ("operation", "kind", "codec", "preset", "pixels", "source", "scale")


class Cost(NamedTuple):
    """The key of a step's kind, and its amount of work."""

    key: str
    work: float


def key_levels(key: str) -> tuple[str, ...]:
    """The key and the coarser ones that are asked where it has taught nothing yet, the finest first."""
    parts = key.split("|")
    if len(parts) != len(_NAMES):
        return ()
    operation, kind, codec, preset, _pixels, _source, scale = parts
    if operation == INTAKE:
        return key, _key(INTAKE)
    return (
        key,
        _key(operation, kind, codec, preset, scale=scale),
        _key(codec=codec, preset=preset, scale=scale),
        _key(operation, kind),
        _key(),
    )


def intake_cost(size: int) -> Cost:
    """Of the inspection of an upload of so many bytes."""
    work = _BASE + size / _INSPECTED_BYTES
    return Cost(_key(INTAKE, INTAKE, NONE, NONE, NONE, NONE, _scale(work)), round(work, 3))


def step_cost(operation: str, plan: Plan, step: StepPlan, media: MediaInfo) -> Cost:
    """Of one step of a plan for the file that `media` tells of."""
    work = _BASE + sum(_run_work(plan, run, media) for run in step.runs)
    recipe = _main_recipe(step.runs)
    codec = NONE if recipe is None else recipe.encoder or "copy"
    source = media.main_video
    pixels = max((_pixels(plan, file) for run in step.runs for file in run.files), default=0)
    key = _key(
        operation,
        step.kind,
        codec,
        NONE if recipe is None else _preset(recipe),
        NONE if not pixels else str(max(0, round(math.log2(pixels / _SMALL_PICTURE)))),
        source.codec if source is not None else NONE,
        _scale(work),
    )
    return Cost(key, round(work, 3))


def _key(*parts: str, **named: str) -> str:
    """`*` for what is not given: in the order of `_NAMES`."""
    given = dict(zip(_NAMES, parts, strict=False)) | named
    return "|".join(given.get(name, ANY)[:24] for name in _NAMES)


def _scale(work: float) -> str:
    """Sizes that differ by less than about four times are alike."""
    return str(max(0, round(math.log2(work / _BASE) / 2)))


def _run_work(plan: Plan, run: Run, media: MediaInfo) -> float:
    seconds = run.expected_duration
    share = min(1.0, seconds / media.duration) if media.duration else 1.0
    work, decodes = 0.0, False
    for file in run.files:
        for stream in file.streams:
            if stream.action == "copy":
                work += share * media.size / _COPIED_BYTES / max(1, len(file.streams))
            elif stream.kind == "audio":
                work += seconds * _SOUND
            elif stream.kind == "video":
                decodes = True
                work += _pixels(plan, file) * _frames(file, seconds, media) / _speed(stream)
    if decodes and (source := media.main_video) is not None:
        rate = source.frame_rate or _USUAL_RATE
        work += source.width * source.height * rate * seconds / _DECODED_PIXELS
    return work


def _frames(file: FileRecipe, seconds: float, media: MediaInfo) -> float:
    source = media.main_video
    rate = (source.frame_rate if source is not None else None) or _USUAL_RATE
    return min(seconds * rate, file.frames or math.inf)


def _speed(stream: StreamRecipe) -> float:
    """Pixels in a second."""
    codec = _ENCODERS.get(stream.encoder or "")
    if codec is None:
        return _USUAL_SPEED
    return codec.speed * _preset_speed(codec, stream)


def _preset_speed(codec: VideoCodec, stream: StreamRecipe) -> float:
    for preset, options in codec.presets.items():
        if options.items() <= stream.options.items():
            return PRESET_SPEEDS[preset]
    return 1.0


def _preset(stream: StreamRecipe) -> str:
    return str(stream.options.get("preset", stream.options.get("cpu-used", NONE)))


def _main_recipe(runs: Iterable[Run]) -> StreamRecipe | None:
    """What takes longest: a picture that is encoded, else sound, else anything."""
    streams = [stream for run in runs for file in run.files for stream in file.streams]
    order = {("video", "encode"): 0, ("audio", "encode"): 1, ("video", "copy"): 2}
    return min(streams, key=lambda one: order.get((one.kind, one.action), 3), default=None)


def _pixels(plan: Plan, file: FileRecipe) -> int:
    """Of one picture of the file; parts have that of the result."""
    streams: list[ExpectedStream] = []
    for output in plan.outputs:
        if file.part is None and output.role != file.role:
            continue
        members = [member for member in output.members if file.member in (None, member.name)]
        expectations = [member.expectation for member in members] or [output.expectation]
        streams += [stream for expectation in expectations for stream in expectation.streams]
    return max(
        (stream.width * stream.height for stream in streams if stream.width and stream.height), default=0
    )
