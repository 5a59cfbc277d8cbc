"""The values that cross the engine's border: what a file holds, what is planned, what came out.

All are frozen pydantic models that survive a round trip through JSON, because they are stored with the rows
of other floors. Unknown keys are ignored when reading, so a row written by a newer version can still be read.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

Scalar = str | int | float
StreamKind = Literal["video", "audio", "subtitle", "data"]
Action = Literal["copy", "encode", "drop"]

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
FONT = "font"  # its name in the working directory
MASTER = "master.m3u8"  # the file of an output with members that leads to them
MEMBERS = "files"  # the folder beside it
SOURCE = "source"  # the name of the file an operation is about, among those a run may read
TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})


class Value(BaseModel):
    """Base of every value here: frozen, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


# ---------------------------------------------------------------------------------- what a file holds


class VideoStream(Value):
    """One picture stream. `width` and `height` are coded pixels; the display size honours the rest."""

    index: int
    codec: str
    profile: str | None = None
    width: int
    height: int
    sample_aspect: tuple[int, int] = (1, 1)
    rotation: int = Field(default=0, description="Degrees clockwise to turn the picture for display.")
    pixel_format: str | None = None
    bit_depth: int = 8
    reordered: bool = Field(default=False, description="Has B-frames: stored in another order than shown.")
    delay: int = Field(default=0, description="How many frames are decoded before the first is shown.")
    preroll: bool = Field(default=False, description="Begins with frames that an edit list hides.")
    frame_rate: float | None = None
    frames: int | None = None
    key_frames: tuple[float, ...] | None = Field(
        default=None, description="Seconds at which it can be cut without encoding; None when not known."
    )
    start_time: float = Field(default=0.0, description="Seconds after the file's own start.")
    duration: float | None = None
    bit_rate: int | None = None
    uneven: bool = Field(default=False, description="Frames are not all shown for the same time.")
    interlaced: bool = False
    color_range: str | None = None
    color_space: str | None = None
    color_primaries: str | None = None
    color_transfer: str | None = None
    attached_picture: bool = False
    default: bool = False
    language: str | None = None
    title: str | None = None

    def _display_size(self) -> tuple[int, int]:
        across, down = self.sample_aspect
        width = max(1, round(self.width * across / down)) if self.width else 0
        if self.rotation in (90, 270):
            return self.height, width
        return width, self.height

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def display_width(self) -> int:
        """Width in square pixels as a viewer sees it, after rotation."""
        return self._display_size()[0]

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def display_height(self) -> int:
        """Height in square pixels as a viewer sees it, after rotation."""
        return self._display_size()[1]

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def hdr(self) -> bool:
        """Whether the picture is coded with a high dynamic range transfer (PQ or HLG)."""
        return self.color_transfer in HDR_TRANSFERS


class AudioStream(Value):
    """One sound track."""

    index: int
    codec: str
    profile: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    start_time: float = Field(default=0.0, description="Seconds after the file's own start.")
    duration: float | None = None
    bit_rate: int | None = None
    default: bool = False
    language: str | None = None
    title: str | None = None


class SubtitleStream(Value):
    """One subtitle track, as text or as pictures."""

    index: int
    codec: str
    default: bool = False
    forced: bool = False
    language: str | None = None
    title: str | None = None

    @property
    def is_text(self) -> bool:
        return self.codec in TEXT_SUBTITLES


class OtherStream(Value):
    """A stream that is neither picture, sound nor subtitle: timecode, telemetry, attached fonts."""

    index: int
    kind: str
    codec: str | None = None


class Chapter(Value):
    """A named part of the timeline, in seconds."""

    start: float
    end: float
    title: str | None = None


class MediaInfo(Value):
    """What a probe found in a file. Times are seconds, sizes bytes, rates bits per second.

    `container` is one name per kind of file: mp4, mov, avi, webm, mkv, flv, ts, mpg, wmv, 3gp or ogv for
    videos; m4a, aac, mp3, wav, ogg or flac for sound; jpg, png or webp for pictures;
    gif for moving pictures; srt, vtt or ass for subtitles.
    """

    container: str
    format_names: tuple[str, ...]
    duration: float
    size: int
    bit_rate: int | None = None
    start_time: float = 0.0
    title: str | None = None
    video: tuple[VideoStream, ...] = ()
    audio: tuple[AudioStream, ...] = ()
    subtitles: tuple[SubtitleStream, ...] = ()
    others: tuple[OtherStream, ...] = ()
    chapters: tuple[Chapter, ...] = ()

    @property
    def main_video(self) -> VideoStream | None:
        """The picture people mean: not cover art, the default one first, then the one with most pixels."""
        moving = [stream for stream in self.video if not stream.attached_picture]
        if not moving:
            return None
        return max(moving, key=lambda stream: (stream.default, stream.width * stream.height, -stream.index))

    @property
    def main_audio(self) -> AudioStream | None:
        """The default sound track, or the first."""
        return next((stream for stream in self.audio if stream.default), next(iter(self.audio), None))


# ------------------------------------------------------------------------------------------ what is planned


class Lane(StrEnum):
    """Which kind of worker a step is for."""

    SHORT = "short"
    ENCODE = "encode"


class StreamDecision(Value):
    """What happens to one stream of the source, for people to read before they start."""

    kind: StreamKind
    source_index: int
    action: Action
    codec: str | None = None
    why: str


class ExpectedStream(Value):
    """One stream the output must have. Sizes are display sizes in square pixels."""

    kind: Literal["video", "audio", "subtitle"]
    codec: str
    width: int | None = None
    height: int | None = None
    copied: bool = False


class Origin(Value):
    """Where an output's pictures and sound come from, so that both can be seen and heard side by side.

    What the output shows at `t` is what the source shows at `start + t * speed`. `picture` and `sound` are
    indexes of streams of the source; None where a comparison would say nothing.
    """

    start: float = 0.0
    speed: float = 1.0
    picture: int | None = None
    sound: int | None = None


class Expectation(Value):
    """What an output must be; `verify` compares the file with it. `None` means it is not checked.

    `joined` is for files put together from parts: they are decoded whole. `frames` is the exact count of
    pictures.
    """

    container: str
    streams: tuple[ExpectedStream, ...]
    duration: float | None = None
    duration_tolerance: float = 0.1
    loudness: float | None = Field(default=None, description="LUFS of every sound track.")
    true_peak: float | None = Field(
        default=None, description="dBTP; a track whose peaks are there need not become as loud as asked for."
    )
    picture: bool = Field(default=False, description="The output is a still picture.")
    words: bool = Field(default=False, description="The output is a file of subtitles.")
    joined: bool = False
    frames: int | None = None
    origin: Origin | None = None
    animation: bool = Field(default=False, description="The output is a moving WebP.")


class MemberPlan(Value):
    """One media file of an output that is a folder: a size of the picture, or a sound track."""

    name: str
    kind: Literal["video", "audio"]
    content_type: str
    expectation: Expectation
    language: str | None = None
    title: str | None = None
    default: bool = False


class OutputPlan(Value):
    """One file the plan makes. `role` is unique in the plan and names the file in the working directory.

    With `members` it is a folder of that name: one file that leads to the others, which are in MEMBERS.
    """

    role: str
    container: str
    extension: str
    content_type: str
    expectation: Expectation
    text: str | None = Field(default=None, description="The whole file, where it is known beforehand.")
    members: tuple[MemberPlan, ...] = ()

    @property
    def filename(self) -> str:
        return f"{self.role}/{MASTER}" if self.members else f"{self.role}.{self.extension}"


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

    source: str = Field(default=SOURCE, description="The name of a source, where there are no parts.")
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


class StepPlan(Value):
    """One unit of work a worker claims. `needs` are positions of the steps that must be done before.

    Parts its runs write may be read by steps that need it. Outputs are made by the last step alone. `weight`
    is its share of the work among the steps, for progress. `otherwise` is done where `runs` turn out not to
    work with this file: a quick way may be tried that only the verification of its result can approve.
    """

    position: int
    kind: str
    lane: Lane
    needs: tuple[int, ...] = ()
    runs: tuple[Run, ...] = ()
    otherwise: tuple[Run, ...] = ()
    weight: float = 1.0

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts this step writes."""
        return tuple(file.part for run in self.runs for file in run.files if file.part is not None)


class Plan(Value):
    """Everything that will be done for one operation on one video, decided before anything starts.

    `undivided` does in one step what `steps` do in several, should their parts not go together.
    `estimated_size` is in bytes, `estimated_seconds` of wall time on an idle machine; both are rough.
    `estimated_between` is for those who know it better.
    """

    operation: str
    summary: str
    streams: tuple[StreamDecision, ...]
    outputs: tuple[OutputPlan, ...]
    steps: tuple[StepPlan, ...]
    undivided: StepPlan | None = None
    estimated_size: int | None = None
    estimated_seconds: float | None = None
    estimated_between: tuple[float, float] | None = None

    @property
    def others(self) -> frozenset[str]:
        """The names of the sources that are read besides the file the operation is about."""
        runs = [run for step in self.steps for run in (*step.runs, *step.otherwise)]
        read = {
            item.source
            for run in runs
            for item in run.inputs
            if not item.parts and item.silence is None and item.words is None
        }
        read.update(name for run in runs for name in run.pictures.values())
        read.update(run.lettering.source for run in runs if run.lettering and run.lettering.source)
        return frozenset(read - {SOURCE})

    def parts_for(self, step: StepPlan) -> frozenset[str]:
        """The names of the parts of earlier steps that this step reads."""
        read = {name for run in step.runs for read in run.inputs for name in read.parts}
        return frozenset(read.difference(step.parts))

    def file_name(self, recipe: FileRecipe) -> str:
        """The name of the recipe's file in the working directory."""
        if recipe.member is not None:
            return f"{recipe.role}/{MEMBERS}/{recipe.member}"
        return self.output_for(recipe.role).filename if recipe.part is None else recipe.part

    def output_for(self, role: str) -> OutputPlan:
        """The output with this role; KeyError when the plan has none."""
        for output in self.outputs:
            if output.role == role:
                return output
        raise KeyError(role)


# ----------------------------------------------------------------------------------------- what came out


class Progress(Value):
    """How far a step is: `fraction` 0-1 never falls, `speed` is in multiples of playing time."""

    fraction: float
    speed: float | None = None
    eta_seconds: float | None = None
    frame: int | None = None


class Check(Value):
    """One line of a verification report."""

    name: str
    passed: bool
    expected: str
    actual: str


class Verification(Value):
    """What was checked on a file before it may be shown to anyone."""

    report: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.report)


class MemberFile(Value):
    """One file of an artifact that is a folder; it is in MEMBERS beside the artifact's `path`."""

    name: str
    content_type: str
    size: int
    sha256: str


class Artifact(Value):
    """A finished, verified and fsynced file inside the working directory.

    With `members` it is all of the folder that `path` is in: `size` is the sum, and `sha256` that of a list
    of all files with theirs, as `sha256sum` writes it.
    """

    role: str
    path: Path
    extension: str
    content_type: str
    size: int
    sha256: str
    media_info: MediaInfo | None = None
    verification: Verification
    members: tuple[MemberFile, ...] = ()


class Limits(Value):
    """What a single file or run may use. The defaults suit files from strangers."""

    max_pixels: int = Field(default=35_389_440, description="Pixels in one picture; 8192x4320.")
    max_streams: int = 32
    max_duration: float = Field(default=86_400.0, description="Seconds.")
    max_frame_rate: float = 300.0
    max_output_bytes: int = 64 * 1024**3
    memory_bytes: int = Field(default=6 * 1024**3, description="Address space of one process.")
    max_alloc_bytes: int = Field(default=512 * 1024**2, description="One allocation inside ffmpeg.")
    open_files: int = 64
    threads: int = 2
    nice: int = 10
    stall_seconds: float = Field(default=60.0, description="Ended after so long without progress.")
    probe_seconds: float = Field(default=60.0, description="Wall time one probe may take.")
    log_bytes: int = Field(default=65_536, description="How much of the tools' messages is kept.")
