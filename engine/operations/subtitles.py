"""subtitles: drawn into the picture, added as a track, or taken out as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import file_plan, output_plan, video_plan
from engine.codecs import label_of
from engine.commands import WORDS_ENCODERS
from engine.containers import VIDEO_CONTAINERS, WORDS_CONTAINERS, Container
from engine.fonts import FONTS_FOLDER
from engine.operation import Holds, OperationType
from engine.parameters import ADVANCED, SUBTITLES, WHOLE, AssetId, Parameters
from engine.pictures import natural, paper_white
from engine.plan import Part, main_video, video_copied, video_encoded, video_obstacle
from engine.tracks import dropped_sound, dropped_subtitle, dropped_video, leftovers, subtitle_parts
from engine.types.media import MediaInfo, SubtitleStream
from engine.types.plan import Expectation, ExpectedStream, Plan, StreamDecision
from engine.types.recipes import SOURCE, FileRecipe, Filter, Input, Lettering, Run, StreamRecipe
from problems import Problem

_DRAWN, _ADDED = "words.ass", "words.srt"
_SMALLEST = 8
# Reading a file through is about this much faster than playing it.
_READING_SPEED = 50


class Action(StrEnum):
    """What is done with the subtitles."""

    BURN = "burn"
    ADD = "add"
    EXTRACT = "extract"


class WordsFormat(StrEnum):
    """Kinds of files for subtitles."""

    SRT = "srt"
    VTT = "vtt"
    ASS = "ass"


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]


class SubtitlesParameters(Parameters):
    """Which subtitles, and what is done with them."""

    action: Action = Field(
        default=Action.BURN,
        title="What to do",
        description="Burn them into the picture, add them as a track, or extract a track as a file.",
    )
    file: AssetId | None = Field(
        default=None,
        title="Subtitle file",
        description="A file of subtitles of yours, to burn or to add.",
        json_schema_extra={**SUBTITLES, "x-empty": "A track of this video"},
    )
    track: Annotated[int, Field(ge=1, le=32), WHOLE] | None = Field(
        default=None,
        title="Track",
        description="Which subtitle track of this video to burn or extract, from 1. Empty takes the first.",
    )
    language: Language | None = Field(
        default=None,
        title="Language",
        description="Three letters, such as eng or deu, for a track that is added.",
        examples=["eng"],
    )
    format: WordsFormat | None = Field(
        default=None,
        title="Format",
        description="The kind of file to extract. Empty makes SRT.",
        json_schema_extra={"x-empty": "SubRip (.srt)"},
    )
    size: Annotated[int, Field(ge=2, le=20), WHOLE] = Field(
        default=6,
        title="Size",
        description="Height of burned letters, in percent of the picture's height.",
        json_schema_extra=ADVANCED,
    )

    @field_validator("file")
    @classmethod
    def _file_suits(cls, file: str | None, info: ValidationInfo) -> str | None:
        action = info.data.get("action")
        if action is Action.ADD and file is None:
            raise PydanticCustomError("required", "Choose the file of subtitles to add.")
        if action is Action.EXTRACT and file is not None:
            raise PydanticCustomError("not_wanted", "A track of the video is extracted, not a file.")
        return file

    @field_validator("track")
    @classmethod
    def _track_suits(cls, track: int | None, info: ValidationInfo) -> int | None:
        if track is not None and info.data.get("file") is not None:
            raise PydanticCustomError("not_wanted", "Choose either a file or a track.")
        return track

    @field_validator("language")
    @classmethod
    def _language_suits(cls, language: str | None, info: ValidationInfo) -> str | None:
        if language is not None and info.data.get("action") is not Action.ADD:
            raise PydanticCustomError("not_wanted", "A language is for a track that is added.")
        return language

    @field_validator("format")
    @classmethod
    def _format_suits(cls, format_: WordsFormat | None, info: ValidationInfo) -> WordsFormat | None:
        if format_ is not None and info.data.get("action") is not Action.EXTRACT:
            raise PydanticCustomError("not_wanted", "A format is for a track that is extracted.")
        return format_


def _others(parameters: SubtitlesParameters) -> Mapping[str, Holds]:
    return {} if parameters.file is None else {parameters.file: Holds.WORDS}


def _plan(parameters: SubtitlesParameters, media: MediaInfo, _others: Mapping[str, MediaInfo]) -> Plan:
    if parameters.action is Action.EXTRACT:
        return _extracted(parameters, media)
    return _burned(parameters, media) if parameters.action is Action.BURN else _added(parameters, media)


def _track(parameters: SubtitlesParameters, media: MediaInfo) -> SubtitleStream:
    """The track that is meant. Raises Problem("parameters_do_not_fit")."""
    number, count = parameters.track or 1, len(media.subtitles)
    if number > count:
        held = f"the video has {count}" if count else "the video has none"
        reason = f"Subtitle track {number} was asked for; {held}."
        raise Problem("parameters_do_not_fit", reason=reason)
    track = media.subtitles[number - 1]
    if not track.is_text:
        reason = f"Subtitle track {number} ({label_of(track.codec)}) holds pictures of words, not text."
        raise Problem("parameters_do_not_fit", reason=reason)
    return track


def _with_runs(plan: Plan, *runs: Run) -> Plan:
    (step,) = plan.steps
    return plan.model_copy(update={"steps": (step.model_copy(update={"runs": runs}),)})


# --------------------------------------------------------------------------------------------------- burn


def _burned(parameters: SubtitlesParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    track = _track(parameters, media) if parameters.file is None else None
    width, height = natural(stream).size
    picture = video_encoded(
        media,
        stream,
        container,
        why="Subtitles are drawn into the picture",
        filters=(Filter(name="ass", options={"filename": _DRAWN, "fontsdir": FONTS_FOLDER}),),
    )
    pixels = str(picture.recipe.filters[-2].options.get("pix_fmts", ""))
    words, unread = subtitle_parts(media, container)
    if track is not None:
        words = [part for part in words if part.recipe.source_index != track.index]
        unread = [decision for decision in unread if decision.source_index != track.index]
        unread.append(dropped_subtitle(track, "It becomes part of the picture."))
    plan = video_plan(
        "subtitles",
        media,
        container,
        picture,
        summary=f"{_spoken(parameters, track)} burned into the picture.",
        subtitles=(words, unread),
    )
    part = None if track is None else f"track.{_kind(track)}"
    lettering = Lettering(
        file=_DRAWN,
        source=parameters.file,
        part=part,
        width=width,
        height=height,
        size=max(_SMALLEST, round(height * parameters.size / 100)),
        brightness=paper_white(stream, pixels),
        until=media.duration,
    )
    ((run,),) = (step.runs for step in plan.steps)
    run = run.model_copy(update={"lettering": lettering})
    if track is None or part is None:
        return _with_runs(plan, run)
    return _with_runs(plan, _taken_out(media, track, part), run)


def _kind(track: SubtitleStream) -> str:
    """As what a track is taken out to be drawn: its styles are needed only to find its drawings."""
    return "ass" if track.codec in ("ass", "ssa") else "srt"


def _taken_out(media: MediaInfo, track: SubtitleStream, part: str) -> Run:
    kind = _kind(track)
    recipe = StreamRecipe(
        kind="subtitle", source_index=track.index, action="encode", encoder=WORDS_ENCODERS[kind]
    )
    return Run(
        expected_duration=media.duration / _READING_SPEED,
        files=(FileRecipe(part=part, muxer=kind, streams=(recipe,)),),
    )


def _spoken(parameters: SubtitlesParameters, track: SubtitleStream | None) -> str:
    if track is None:
        return "Subtitles of a file"
    language = f" ({track.language})" if track.language else ""
    return f"Subtitle track {parameters.track or 1}{language}"


# ---------------------------------------------------------------------------------------------------- add


def _added(parameters: SubtitlesParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    own = VIDEO_CONTAINERS.get(media.container)
    # Where a container has no subtitles, Matroska has, and takes nearly everything as it is.
    container = own if own is not None and own.text_subtitles else VIDEO_CONTAINERS["mkv"]
    obstacle = video_obstacle(media, stream, container)
    picture = (
        video_copied(media, stream, container)
        if obstacle is None
        else video_encoded(media, stream, container, why=f"Encoded because {obstacle}")
    )
    new = _new(parameters, media, container)
    words, unread = subtitle_parts(media, container)
    language = f" ({parameters.language})" if parameters.language else ""
    plan = video_plan(
        "subtitles",
        media,
        container,
        picture,
        summary=f"The subtitles as a further track{language}, in a {container.label} file.",
        subtitles=([*words, new], unread),
    )
    ((run,),) = (step.runs for step in plan.steps)
    lettering = Lettering(file=_ADDED, source=parameters.file, until=media.duration)
    inputs = (Input(source=SOURCE), Input(words=_ADDED))
    run = run.model_copy(update={"inputs": inputs, "lettering": lettering})
    # The decision about the file's track is no decision about a stream of this video.
    streams = tuple(decision for decision in plan.streams if decision is not new.decision)
    return _with_runs(plan.model_copy(update={"streams": streams}), run)


def _new(parameters: SubtitlesParameters, media: MediaInfo, container: Container) -> Part:
    codec = str(container.text_subtitles)
    return Part(
        recipe=StreamRecipe(
            kind="subtitle",
            input=1,
            source_index=0,
            action="encode",
            encoder=codec,
            language=parameters.language,
            default=not media.subtitles,
        ),
        expected=ExpectedStream(kind="subtitle", codec=codec),
        decision=StreamDecision(
            kind="subtitle", source_index=-1, action="encode", codec=codec, why="The new track."
        ),
        bits=8_000.0,
        cpu_seconds=0.0,
    )


# ------------------------------------------------------------------------------------------------ extract


def _extracted(parameters: SubtitlesParameters, media: MediaInfo) -> Plan:
    track = _track(parameters, media)
    container = WORDS_CONTAINERS[parameters.format or WordsFormat.SRT]
    alone = media.model_copy(update={"subtitles": (track,)})
    (part,), _ = subtitle_parts(alone, container)
    part = replace(part, recipe=part.recipe.model_copy(update={"language": None, "title": None}))
    main = media.main_video
    left_out = [dropped_sound(sound, "Only words are taken out.") for sound in media.audio]
    left_out += [dropped_video(main, "Only words are taken out.")] if main is not None else []
    left_out += [
        dropped_subtitle(other, "Another track was asked for.") for other in media.subtitles if other != track
    ]
    plan = file_plan(
        "subtitles",
        media,
        container,
        [part],
        role="subtitles",
        summary=f"{_spoken(parameters, track)} as a {container.label} file.",
        left_out=[*left_out, *leftovers(media, main)],
    )
    expected = Expectation(container=container.name, streams=(part.expected,), words=True)
    return plan.model_copy(update={"outputs": (output_plan(container, "subtitles", expected),)})


OPERATION = OperationType(
    type="subtitles",
    title="Subtitles",
    description="Burn them into the picture, add them as a track, or extract them.",
    icon="captions",
    Parameters=SubtitlesParameters,
    plan=_plan,
    others=_others,
)
