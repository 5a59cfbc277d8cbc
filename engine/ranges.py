"""Parts of a video's timeline: what was asked for, what the streams hold there, a plan of just that."""

from __future__ import annotations

from dataclasses import dataclass

from engine.tracks import dropped_sound
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.plan import Plan, StreamDecision
from engine.types.recipes import StreamRecipe
from engine.types.value import Scalar
from problems import Problem

# Containers whose index leads to a key frame by its time; in others a search lands somewhere near.
INDEXED = frozenset({"mp4", "mov", "3gp", "mkv", "webm", "avi"})

_SHORTEST = 0.001
_LEAD = 30.0
_TICK = 0.001


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` until just before `end`, in seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return round(self.end - self.start, 3)


def clock(seconds: float) -> str:
    """Seconds as people write them: 00:01:30.500."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{rest:03}"


def range_of(
    media: MediaInfo, *, start: float | None = None, end: float | None = None, length: float | None = None
) -> Range:
    """The part that was asked for, ending with the video at the latest.

    Raises Problem("parameters_do_not_fit") when it begins after the video, or after its picture.
    """
    begin = start or 0.0
    wished = end if end is not None else begin + length if length is not None else media.duration
    shown = shown_until(media)
    if begin >= shown - _SHORTEST:
        what = "picture" if shown < media.duration - _SHORTEST else "video"
        reason = f"The start {clock(begin)} was asked for; the {what} ends at {clock(shown)}."
        raise Problem("parameters_do_not_fit", reason=reason)
    return Range(start=begin, end=round(min(wished, media.duration), 3))


def shown_until(media: MediaInfo) -> float:
    """When the picture ends; the end of the video where that is not told."""
    stream = media.main_video
    if stream is None or not stream.duration:
        return media.duration
    return min(media.duration, stream.start_time + stream.duration)


def within(media: MediaInfo, part: Range) -> tuple[MediaInfo, list[StreamDecision]]:
    """The video as if it held only this part; and the sound tracks that have nothing in there."""
    share = part.length / media.duration if media.duration else 1.0
    audio = [(track, _moved(track.start_time, track.duration, part)) for track in media.audio]
    silent = [
        dropped_sound(track, "It has nothing in this part of the video.")
        for track, stretch in audio
        if not stretch
    ]
    clip = media.model_copy(
        update={
            "duration": part.length,
            "size": round(media.size * share),
            "video": tuple(_clipped_picture(stream, part) for stream in media.video),
            "audio": tuple(_clipped_sound(track, stretch) for track, stretch in audio if stretch),
        }
    )
    return clip, silent


def lead_of(part: Range, media: MediaInfo) -> float:
    """How many seconds before a part decoding begins.

    Without an index a search may land after the key frame that is needed: begin well before and throw away.
    """
    return lead_at(part.start, media)


def lead_at(moment: float, media: MediaInfo, most: float = _LEAD) -> float:
    """How many seconds before a moment decoding begins: at most so many, or all where the clock is broken."""
    if media.broken_clock:
        return moment
    return 0.0 if media.container in INDEXED else min(moment, most)


def insist_on_clock(media: MediaInfo) -> None:
    """Raises Problem("parameters_do_not_fit") where no part of the video can be found by its time."""
    if media.broken_clock:
        reason = (
            "The clock of this file begins anew in the middle, so that its parts cannot be found. "
            "Convert it to MP4 first."
        )
        raise Problem("parameters_do_not_fit", reason=reason)


def chosen_from(plan: Plan, part: Range, media: MediaInfo) -> Plan:
    """The plan decoding from `lead_of` before the part until its end; filters choose what stays of that."""
    lead = lead_of(part, media)
    ask = {"start": round(part.start - lead, 3), "length": round(part.length + lead, 3)}
    plan = _changed(plan, ask, {}, [], last_frame=False)
    # What is shown when cannot be told by one beginning and one speed.
    outputs = tuple(
        output.model_copy(update={"expectation": output.expectation.model_copy(update={"origin": None})})
        for output in plan.outputs
    )
    return plan.model_copy(update={"outputs": outputs})


def of_part(plan: Plan, part: Range, media: MediaInfo, *, left_out: list[StreamDecision]) -> Plan:
    """The plan made for `within`, decoding only this part of the source `media`."""
    lead = lead_of(part, media)
    ask = {"start": round(part.start - lead, 3), "length": round(part.length + lead, 3)}
    # The length is said again for the output, because chapters go by that.
    cut: dict[str, Scalar] = {"t": f"{part.length:.3f}"}
    if lead:
        cut["ss"] = f"{lead:.3f}"
    return _begun(_changed(plan, ask, cut, left_out), part.start)


def _begun(plan: Plan, start: float) -> Plan:
    """The plan for outputs whose beginning is at `start` of the source."""
    outputs = []
    for output in plan.outputs:
        expected = output.expectation
        if expected.origin is not None:
            origin = expected.origin.model_copy(update={"start": start})
            expected = expected.model_copy(update={"origin": origin})
        outputs.append(output.model_copy(update={"expectation": expected}))
    return plan.model_copy(update={"outputs": tuple(outputs)})


def copied_part(
    plan: Plan, ask: float, length: float, *, lead: float, left_out: list[StreamDecision]
) -> Plan:
    """The plan made for `within`, copying from the key frame `lead` seconds before `ask` on."""
    # The times of what was copied count from the place asked for. Moved by the lead the key frame comes at
    # the very start; a millisecond more, or a rounded time would let an edit list hide it.
    cut: dict[str, Scalar] = {"output_ts_offset": f"{lead + _TICK:.3f}"} if ask else {}
    return _changed(
        plan,
        {"start": ask, "length": length, "from_key_frame": True},
        cut,
        left_out,
        chapters=False,
        last_frame=False,
    )


def _changed(
    plan: Plan,
    ask: dict[str, float],
    cut: dict[str, Scalar],
    left_out: list[StreamDecision],
    *,
    chapters: bool = True,
    last_frame: bool = True,
) -> Plan:
    steps = []
    for step in plan.steps:
        runs = []
        for run in step.runs:
            files = tuple(
                file.model_copy(
                    update={
                        "options": {**file.options, **cut},
                        "chapters": file.chapters and chapters,
                        "streams": tuple(
                            _without_earlier_words(stream) if last_frame else _without_timing(stream)
                            for stream in file.streams
                        ),
                    }
                )
                for file in run.files
            )
            inputs = (run.inputs[0].model_copy(update=ask), *run.inputs[1:])
            runs.append(run.model_copy(update={"inputs": inputs, "files": files}))
        steps.append(step.model_copy(update={"runs": tuple(runs)}))
    streams = tuple(sorted([*plan.streams, *left_out], key=lambda item: item.source_index))
    return plan.model_copy(update={"steps": tuple(steps), "streams": streams})


def _without_timing(stream: StreamRecipe) -> StreamRecipe:
    """The picture does not end where the source's does, so its last frame has no time to be told."""
    stream = _without_earlier_words(stream)
    if stream.kind != "video":
        return stream
    kept = {name: value for name, value in stream.options.items() if name != "bsf"}
    return stream.model_copy(update={"options": kept})


def _without_earlier_words(stream: StreamRecipe) -> StreamRecipe:
    """A line that began before the part would move everything else to later times, to have a time itself."""
    if stream.kind != "subtitle" or stream.action != "copy":
        return stream
    return stream.model_copy(update={"options": {**stream.options, "copypriorss": 0}})


_Stretch = tuple[float, float | None]


def _moved(start: float, duration: float | None, part: Range) -> _Stretch | None:
    """A stream's start and length inside the part; None when it has nothing in there."""
    begin = max(start, part.start)
    if begin >= part.end:
        return None
    if duration is None:
        return begin - part.start, None
    length = min(start + duration, part.end) - begin
    return (begin - part.start, length) if length > _SHORTEST else None


def _clipped_picture(stream: VideoStream, part: Range) -> VideoStream:
    start, duration = _moved(stream.start_time, stream.duration, part) or (0.0, None)
    return stream.model_copy(update={"start_time": start, "duration": duration, "frames": None})


def _clipped_sound(track: AudioStream, stretch: _Stretch) -> AudioStream:
    return track.model_copy(update={"start_time": stretch[0], "duration": stretch[1]})
