"""How files are made: what a run of the tool reads, does to each stream, and writes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.types.value import Scalar, Value

SOURCE = "source"  # the name of the file an operation is about, among those a run may read
FONT = "font"  # its name in the working directory


class Filter(Value):
    """One filter of a chain; `commands` escapes its values.

    `takes` and `gives` name the links of a filter that is not just the next in the chain.
    """

    name: str
    options: dict[str, Scalar] = Field(default_factory=dict)
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


class StreamRecipe(Value):
    """How one stream of an output file is made from one stream of one of the run's inputs."""

    kind: Literal["video", "audio", "subtitle"]
    input: int = Field(default=0, description="Which of the run's inputs.")
    source_index: int = Field(description="Which of that input's streams.")
    action: Literal["copy", "encode"]
    encoder: str | None = None
    options: dict[str, Scalar] = Field(default_factory=dict, description="Encoder options without '-'.")
    filters: tuple[Filter, ...] = ()
    language: str | None = None
    title: str | None = None
    default: bool = False
    forced: bool = False


class FileRecipe(Value):
    """How one file is written: an output, whose OutputPlan `role` points to, a member of one, or a part.

    A part is read by later runs and never leaves the working directory; `part` is its file name there.
    """

    role: str = ""
    member: str | None = None
    part: str | None = None
    muxer: str
    streams: tuple[StreamRecipe, ...]
    options: dict[str, Scalar] = Field(default_factory=dict, description="Muxer options without '-'.")
    frames: int | None = None
    chapters: bool = False
    chapters_input: int = 0
    parameter_sets: str | None = Field(
        default=None, description="A part of raw H.264 whose parameter sets the MP4's header must hold too."
    )


class ProcedureCall(Value):
    """A way to do a run that needs more than one start of the tool: a module of `procedures`."""

    name: str
    settings: dict[str, Scalar] = Field(default_factory=dict)


class Input(Value):
    """What a run reads, once for all its files: a source, or parts one after the other. Times in seconds.

    `from_key_frame` keeps everything from the last key frame at or before `start`, as a cut without encoding
    has to; otherwise nothing before `start` is kept. Parts follow each other by their lengths, or, with
    `one_clock`, stand where their own times say (MPEG-TS only). `shift` is added to all times. With `silence`
    nothing is read: it is so many seconds of no sound. Pictures are turned as the file says;
    `as_stored` leaves them as they are, and `rotation` says how they are to be turned for display, degrees
    clockwise.

    `zero` keeps the stored times and counts them from this moment of the file's own clock, instead of from
    where reading begins; either all inputs of a run have it or none. `cuts` are the moments at which each
    part but the first has to begin: parts with cuts keep their times too, and the result is checked at them.
    """

    source: str = Field(
        default=SOURCE,
        description="The name of a source; with cuts, of the one that was cut, empty for whole videos.",
    )
    parts: tuple[str, ...] = ()
    start: float | None = None
    length: float | None = None
    from_key_frame: bool = False
    one_clock: bool = False
    shift: float = 0.0
    silence: float | None = None
    as_stored: bool = False
    rotation: int = 0
    words: str | None = Field(default=None, description="The file of a lettering that is read instead.")
    zero: float | None = None
    cuts: tuple[float, ...] = ()


class Lettering(Value):
    """Subtitles that are read, cleaned and written anew into the working directory before a run.

    They come from a source, or from a part. With a `width` and a `height` they become ASS to be drawn into
    pictures of this size, with letters `size` pixels high; else SRT. Nothing is shown after `until` seconds.
    """

    file: str
    source: str | None = None
    part: str | None = None
    width: int = 0
    height: int = 0
    size: int = 0
    brightness: float = 1.0
    until: float


class Run(Value):
    """One start of ffmpeg: each input is read once and may feed several files.

    Times begin at 0 with each input's `start`; with `source_times` they stay as they are in the file.

    `texts` are small files, by name, that filters read from the working directory, so that words of a person
    are never part of a filter; `font` puts FONT beside them. `pictures` are sources that filters read there,
    by the names they have there.
    """

    inputs: tuple[Input, ...] = (Input(),)
    source_times: bool = False
    texts: dict[str, str] = Field(default_factory=dict)
    font: bool = False
    pictures: dict[str, str] = Field(default_factory=dict)
    lettering: Lettering | None = None
    procedure: ProcedureCall | None = Field(default=None, description="How it is done; None is one start.")
    expected_duration: float = Field(description="Seconds of media the run writes; progress is against it.")
    files: tuple[FileRecipe, ...]
