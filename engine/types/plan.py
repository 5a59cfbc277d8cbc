"""What is planned: what happens to each stream, what each output must be, and the steps that make it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from engine.types.recipes import SOURCE, FileRecipe, Run
from engine.types.value import Value

StreamKind = Literal["video", "audio", "subtitle", "data"]
Action = Literal["copy", "encode", "drop"]

MASTER = "master.m3u8"  # the file of an output with members that leads to them
MEMBERS = "files"  # the folder beside it


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
    seams: tuple[float, ...] = Field(
        default=(), description="Seconds at which parts meet of which most are copied: decoded around them."
    )
    frames: int | None = None
    origin: Origin | None = None
    animation: bool = Field(default=False, description="The output is a moving WebP.")
    score: bool = Field(default=False, description="How like its source it looks is measured on samples.")


class MemberPlan(Value):
    """One media file of an output that is a folder: a size of the picture, a sound track, or subtitles."""

    name: str
    kind: Literal["video", "audio", "subtitle"]
    content_type: str
    expectation: Expectation
    language: str | None = None
    title: str | None = None
    default: bool = False
    forced: bool = False


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
