"""Divides a long encode into steps that workers anywhere can take: pieces of the picture, sound, assembly.

Each segment encodes the picture between two moments with the settings of the whole and keeps the times the
source gave it, so that the pieces fit together by themselves. Whether a frame belongs to the piece before or
after a cut is decided by one comparison, made on the same number in both: none is lost or made twice, however
unevenly they come. Cuts lie at key frames of the source, where decoding can begin without waste. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.codecs import VIDEO_CODECS
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Lane, OutputPlan, Plan, StepPlan
from engine.types.recipes import SOURCE, FileRecipe, Filter, Input, Run, StreamRecipe

SEGMENT, SOUND, ASSEMBLY = "segment", "audio", "assemble"

_SHORTEST, _USUAL = 10.0, 20.0  # seconds
# Pieces for each place: some are harder than others, and of two the last one often keeps a core waiting.
_FOR_EACH_PLACE = 3
_MOST = 240
# Below this much work the start of processes and the look at the join cost more than is won.
_WORTH_CPU_SECONDS = 20.0
# An encode that takes so long is divided also where that wins no time: a crash then costs one segment.
_WORTH_SAVING_SECONDS = 180.0
# How much worse than evenly divided the pieces may be and still win.
_UNEVEN = 1.15

# Encoders whose pieces can be joined without encoding -> cores one of them can use well by itself.
_JOINABLE = {"libx264": 1, "libx265": 1, "libvpx-vp9": 4, "libsvtav1": 8}
# Files whose frames have any times; others are filled up to an even rate, which no piece can do alone.
_ANY_TIMES = frozenset({"mp4", "mov", "mkv", "webm"})
# Filters that look at nothing but the frame and its time, and those that look at its neighbours too.
_BY_FRAME = frozenset(
    {
        "scale",
        "crop",
        "setsar",
        "format",
        "zscale",
        "tonemap",
        "transpose",
        "hflip",
        "vflip",
        "pad",
        "drawtext",
        "ass",
        # A still picture laid over it, or the picture over itself: a graph with one end on each side.
        "movie",
        "colorchannelmixer",
        "split",
        "gblur",
        "overlay",
    }
)
_BY_NEIGHBOURS = frozenset({"bwdif", "fps"})

# Fragmented, because only there any time can be stored exactly: elsewhere a late beginning is rounded.
_EXACT_TIMES = {"movflags": "+delay_moov+frag_keyframe+default_base_moof+frag_discont"}
# Key frames are known to the millisecond; the cut lies before the frame whatever it was rounded to.
_BEFORE = 0.001
# ffmpeg looks nearly this much earlier in containers that store frames by decoding time.
_LOOKS_BACK = 0.136
_DEFAULT_RATE = 25.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What encodes run on: cores, and how many steps run at once."""

    cores: int
    slots: int

    @property
    def at_once(self) -> int:
        return max(1, min(self.cores, self.slots))


def divided(plan: Plan, media: MediaInfo, machine: Machine, *, seconds: float | None = None) -> Plan:
    """The plan in segments of about `seconds`, or as the cost model chooses; or just as it is."""
    whole = _Whole.of(plan, media)
    if whole is None:
        return plan
    cuts = _cuts(whole.key_frames, media.duration, seconds) if seconds else _chosen(whole, machine)
    return whole.divided(cuts) if cuts else plan


# ------------------------------------------------------------------------------------------------- the model


def _chosen(whole: _Whole, machine: Machine) -> tuple[float, ...]:
    """The cuts that pay; none where one command is as good."""
    cpu_seconds = whole.cpu_seconds
    alone = min(machine.cores, _JOINABLE[whole.encoder] if machine.at_once > 1 else machine.cores)
    faster = machine.at_once > alone and cpu_seconds >= _WORTH_CPU_SECONDS
    lasting = cpu_seconds / machine.cores >= _WORTH_SAVING_SECONDS
    if not faster and not lasting:
        return ()
    cuts = _cuts(whole.key_frames, whole.duration, whole.duration / _count(whole.duration, machine))
    places = min(machine.at_once, len(cuts) + 1)
    idle = places < min(2, machine.at_once)
    if not lasting and (idle or _makespan(cuts, whole.duration, places) > _UNEVEN * whole.duration / places):
        return ()
    return cuts


def _count(duration: float, machine: Machine) -> int:
    """How many segments: as many for each place, and neither too short nor too many."""
    most = int(duration / _SHORTEST)
    if most <= machine.at_once:
        return max(1, most)
    rounds = max(_FOR_EACH_PLACE, round(duration / (machine.at_once * _USUAL)))
    return min(machine.at_once * min(rounds, most // machine.at_once), _MOST)


def _cuts(key_frames: Sequence[float], duration: float, length: float) -> tuple[float, ...]:
    """The key frames nearest to every `length` seconds; none of the pieces is much shorter."""
    least = length / 3
    cuts: list[float] = []
    for number in range(1, max(1, round(duration / length))):
        wish = number * length
        moment = min(key_frames, key=lambda frame: abs(frame - wish), default=0.0)
        if moment - (cuts[-1] if cuts else 0.0) >= least and duration - moment >= least:
            cuts.append(moment)
    return tuple(cuts)


def _makespan(cuts: Iterable[float], duration: float, at_once: int) -> float:
    """When the last place is done, if each takes the next piece as it becomes free."""
    places = [0.0] * at_once
    for begin, end in pairwise((0.0, *cuts, duration)):
        places[places.index(min(places))] += end - begin
    return max(places)


# -------------------------------------------------------------------------------------------------- the steps


@dataclass(frozen=True, slots=True)
class _Whole:
    """A plan that can be divided, taken apart."""

    plan: Plan
    media: MediaInfo
    step: StepPlan
    run: Run
    file: FileRecipe
    output: OutputPlan
    picture: StreamRecipe
    stream: VideoStream

    @classmethod
    def of(cls, plan: Plan, media: MediaInfo) -> _Whole | None:
        """None where it cannot be cut: several steps, runs, files or inputs, or only a part of a video."""
        if len(plan.steps) != 1 or len(plan.steps[0].runs) != 1 or plan.steps[0].otherwise:
            return None
        (run,) = plan.steps[0].runs
        if len(run.files) != 1 or run.inputs != (Input(),) or run.procedure is not None:
            return None
        (file,) = run.files
        pictures = [stream for stream in file.streams if stream.kind == "video"]
        if file.part is not None or file.frames is not None or {"t", "ss", "to"} & file.options.keys():
            return None
        if len(pictures) != 1 or not _is_divisible(pictures[0]):
            return None
        output = plan.output_for(file.role)
        stream = next((item for item in media.video if item.index == pictures[0].source_index), None)
        if stream is None or not stream.key_frames or output.container not in _ANY_TIMES:
            return None
        return cls(plan, media, plan.steps[0], run, file, output, pictures[0], stream)

    @property
    def duration(self) -> float:
        return self.media.duration

    @property
    def key_frames(self) -> tuple[float, ...]:
        return self.stream.key_frames or ()

    @property
    def encoder(self) -> str:
        return str(self.picture.encoder)

    @property
    def cpu_seconds(self) -> float:
        """Roughly, of the picture."""
        made = next(stream for stream in self.output.expectation.streams if stream.kind == "video")
        speed = next(codec.speed for codec in VIDEO_CODECS.values() if codec.encoder == self.encoder)
        frames = (self.stream.frame_rate or _DEFAULT_RATE) * self.duration
        written = (made.width or self.stream.width) * (made.height or self.stream.height)
        return frames * (written / speed + self.stream.width * self.stream.height / 400e6)

    def divided(self, cuts: tuple[float, ...]) -> Plan:
        edges = (None, *cuts, None)
        pieces = [self._segment(number, *ends) for number, ends in enumerate(pairwise(edges))]
        steps = [*pieces, *self._sound(len(pieces))]
        steps.append(self._assembly(cuts, pieces, steps))
        return self.plan.model_copy(update={"steps": tuple(steps), "undivided": self.step})

    def _segment(self, position: int, begin: float | None, end: float | None) -> StepPlan:
        length = (self.duration if end is None else end) - (begin or 0.0)
        # What is done to the last frame's time is for the end of the whole file: the assembly does it.
        options = {key: value for key, value in self.picture.options.items() if key != "bsf"}
        recipe = FileRecipe(
            part=f"segment-{position}.mp4",
            muxer="mp4",
            streams=(
                self.picture.model_copy(
                    update={"filters": _between(self.picture.filters, begin, end), "options": options}
                ),
            ),
            options=_EXACT_TIMES,
        )
        run = self.run.model_copy(
            update={
                "inputs": (
                    Input(start=self._search(begin), from_key_frame=True, zero=self.media.start_time),
                ),
                "expected_duration": length,
                "files": (recipe,),
            }
        )
        return StepPlan(position=position, kind=SEGMENT, lane=Lane.ENCODE, runs=(run,), weight=length)

    def _search(self, begin: float | None) -> float | None:
        """Where to search so that decoding begins with the key frame, or one before it where needed."""
        if begin is None:
            return None
        at = self.key_frames.index(begin)
        if any(item.name in _BY_NEIGHBOURS for item in self.picture.filters):
            at -= 1
            if at < 0 or self.key_frames[at] <= 0:
                return None
        following = [*self.key_frames, self.duration][at + 1]
        return round(min(self.key_frames[at] + _LOOKS_BACK, (self.key_frames[at] + following) / 2), 3)

    def _sound(self, position: int) -> list[StepPlan]:
        """Sound that is encoded, in one piece and in the very kind of file the result is."""
        streams = tuple(item for item in self.file.streams if _is_new_sound(item))
        if not streams:
            return []
        part = f"sound.{self.output.extension}"
        recipe = FileRecipe(part=part, muxer=self.file.muxer, streams=streams)
        run = Run(expected_duration=self.duration, files=(recipe,))
        weight = 0.02 * self.duration * len(streams)
        return [StepPlan(position=position, kind=SOUND, lane=Lane.ENCODE, runs=(run,), weight=weight)]

    def _assembly(self, cuts: tuple[float, ...], pieces: list[StepPlan], steps: list[StepPlan]) -> StepPlan:
        """Everything into one file without encoding; what was to be copied comes from the source itself."""
        inputs: list[Input] = []
        if self.file.chapters or any(
            item.kind != "video" and not _is_new_sound(item) for item in self.file.streams
        ):
            inputs.append(Input(source=SOURCE, zero=self.media.start_time))
        pictures = len(inputs)
        names = tuple(name for step in pieces for name in step.parts)
        inputs.append(Input(parts=names, cuts=cuts, zero=0.0))
        sound = tuple(name for step in steps[len(pieces) :] for name in step.parts)
        if sound:
            inputs.append(Input(parts=sound, zero=0.0))
        streams, tracks = [], 0
        for item in self.file.streams:
            if item.kind == "video":
                update = {"input": pictures, "source_index": 0}
            elif _is_new_sound(item):
                update = {"input": pictures + 1, "source_index": tracks}
                tracks += 1
            else:
                update = {"input": 0, "source_index": item.source_index}
            streams.append(_as_it_is(item, update))
        run = Run(
            inputs=tuple(inputs),
            expected_duration=self.run.expected_duration,
            files=(self.file.model_copy(update={"streams": tuple(streams)}),),
        )
        return StepPlan(
            position=len(steps),
            kind=ASSEMBLY,
            lane=Lane.SHORT,
            needs=tuple(step.position for step in steps),
            runs=(run,),
            weight=0.03 * self.duration,
        )


def _is_divisible(picture: StreamRecipe) -> bool:
    known = _BY_FRAME | _BY_NEIGHBOURS
    chain = all(item.name in known for item in picture.filters)
    return (
        picture.action == "encode" and picture.encoder in _JOINABLE and "r" not in picture.options and chain
    )


def _is_new_sound(stream: StreamRecipe) -> bool:
    return stream.kind == "audio" and stream.action == "encode"


def _as_it_is(stream: StreamRecipe, update: dict[str, int]) -> StreamRecipe:
    """The stream copied from where it now is; text is still rewritten on its way in."""
    if stream.kind == "subtitle" or stream.action == "copy":
        return stream.model_copy(update=update)
    kept = {key: value for key, value in stream.options.items() if key in ("tag", "bsf")}
    copied = {"action": "copy", "encoder": None, "filters": (), "options": kept}
    return stream.model_copy(update={**update, **copied})


def _between(chain: tuple[Filter, ...], begin: float | None, end: float | None) -> tuple[Filter, ...]:
    """The chain for the frames between two key frames, after filters that look at neighbours."""
    options: dict[str, str | int | float] = {}
    if begin is not None:
        options["start"] = f"{begin - _BEFORE:.6f}"
    if end is not None:
        options["end"] = f"{end - _BEFORE:.6f}"
    at = max((number for number, item in enumerate(chain, 1) if item.name in _BY_NEIGHBOURS), default=0)
    return (*chain[:at], Filter(name="trim", options=options), *chain[at:])
