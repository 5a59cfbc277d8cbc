"""What a plan will make, as if it had been made and probed: what the next plan of a chain works on.

Streams keep the numbers of those that they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.ranges import Range, within
from engine.types.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from engine.types.plan import Expectation, ExpectedStream, OutputPlan, Plan
from engine.types.recipes import Run, StreamRecipe

_DIFFERENT = 0.2
_SAME = 0.001


def promise_of(plan: Plan, media: MediaInfo) -> MediaInfo:
    """The file that a plan for `media`, which makes one video file in one run, will make."""
    (run,) = plan.steps[0].runs
    (file,) = run.files
    (output,) = plan.outputs
    expected = output.expectation
    shown = _shown(media, run)
    duration = expected.duration or shown.duration
    stretch = duration / shown.duration if abs(duration - shown.duration) > _DIFFERENT else 1.0
    made: dict[int, tuple[StreamRecipe, ExpectedStream]] = {
        recipe.source_index: (recipe, wanted)
        for recipe, wanted in zip(file.streams, expected.streams, strict=True)
    }
    return MediaInfo(
        container=output.container,
        format_names=(output.container,),
        duration=duration,
        size=plan.estimated_size or shown.size,
        video=tuple(
            _picture(stream, *made[stream.index], stretch) for stream in shown.video if stream.index in made
        ),
        audio=tuple(
            _sound(track, *made[track.index], stretch) for track in shown.audio if track.index in made
        ),
        subtitles=tuple(
            _words(track, *made[track.index]) for track in shown.subtitles if track.index in made
        ),
        chapters=media.chapters if file.chapters else (),
    )


def _shown(media: MediaInfo, run: Run) -> MediaInfo:
    """The part of the source that the run keeps."""
    item = run.inputs[0]
    if item.start is None and item.length is None:
        return media
    lead = float(run.files[0].options.get("ss", 0))
    start = (item.start or 0.0) + lead
    end = media.duration if item.length is None else start + item.length - lead
    return within(media, Range(start=start, end=min(end, media.duration)))[0]


def _stretched(stream: VideoStream | AudioStream, stretch: float) -> Mapping[str, object]:
    return {
        "start_time": stream.start_time * stretch,
        "duration": None if stream.duration is None else stream.duration * stretch,
    }


def _picture(
    stream: VideoStream, recipe: StreamRecipe, wanted: ExpectedStream, stretch: float
) -> VideoStream:
    if recipe.action == "copy":
        cut = {"key_frames": None} if stream.frames is None else {}
        return stream.model_copy(update={**_stretched(stream, stretch), **cut})
    rate = stream.frame_rate * min(1.0, 1 / stretch) if stream.frame_rate else None
    return VideoStream(
        index=stream.index,
        codec=wanted.codec,
        width=wanted.width or stream.display_width,
        height=wanted.height or stream.display_height,
        pixel_format="yuv420p",
        frame_rate=rate,
        default=True,
        language=recipe.language,
        title=recipe.title,
        start_time=stream.start_time * stretch,
        duration=None if stream.duration is None else stream.duration * stretch,
    )


def _sound(track: AudioStream, recipe: StreamRecipe, wanted: ExpectedStream, stretch: float) -> AudioStream:
    if recipe.action == "copy":
        return track.model_copy(update=_stretched(track, stretch))
    return track.model_copy(
        update={
            **_stretched(track, stretch),
            "codec": wanted.codec,
            "profile": "LC" if wanted.codec == "aac" else None,
            "channels": recipe.options.get("ac", track.channels),
            "bit_rate": None,
        }
    )


def _words(track: SubtitleStream, _recipe: StreamRecipe, wanted: ExpectedStream) -> SubtitleStream:
    return track.model_copy(update={"codec": wanted.codec})


# --------------------------------------------------------------------------- promises of two plans as one


def lasts(earlier: Plan, following: Plan) -> bool:
    """Whether the later plan leaves the length as the earlier makes it."""
    before, after = (plan.outputs[0].expectation.duration for plan in (earlier, following))
    return before is None or after is None or abs(before - after) < _SAME


def promised(output: OutputPlan, earlier: Plan, following: Plan) -> OutputPlan:
    """The later plan's promise; nothing is a copy any more that the earlier one encodes."""
    encoded = {
        stream.source_index
        for stream in earlier.steps[0].runs[0].files[0].streams
        if stream.action == "encode"
    }
    before = earlier.outputs[0].expectation
    expected = output.expectation
    update: dict[str, object] = {}
    recipes = [
        stream
        for step in following.steps
        for run in step.runs
        for file in run.files
        if file.role == output.role and file.member is None
        for stream in file.streams
    ]
    if len(recipes) == len(expected.streams):
        update["streams"] = tuple(
            wanted.model_copy(update={"copied": wanted.copied and recipe.source_index not in encoded})
            for wanted, recipe in zip(expected.streams, recipes, strict=True)
        )
        heard = [recipe for recipe in recipes if recipe.kind == "audio"]
        untouched = bool(heard) and all(recipe.action == "copy" for recipe in heard)
        if before.loudness is not None and untouched and lasts(earlier, following):
            update["loudness"] = before.loudness
    output = output.model_copy(update={"expectation": expected.model_copy(update=update)})
    return loosened(output, earlier.outputs[0])


def loosened(output: OutputPlan, earlier: OutputPlan) -> OutputPlan:
    """Lengths are only as sure as those of the plan before."""
    more = earlier.expectation.duration_tolerance

    def loose(expected: Expectation) -> Expectation:
        tolerance = round(expected.duration_tolerance + more, 3)
        return expected.model_copy(update={"duration_tolerance": tolerance})

    members = tuple(
        member.model_copy(update={"expectation": loose(member.expectation)}) for member in output.members
    )
    return output.model_copy(update={"expectation": loose(output.expectation), "members": members})
