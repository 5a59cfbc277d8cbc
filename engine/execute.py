"""Runs one step of a plan: ffmpeg, verification, checksums, fsync. The jobs floor calls only this.

Everything it writes is inside `work_dir`, which belongs to one attempt. It never touches the source, never
publishes, and may be killed at any instant: what it leaves then is only scratch.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import avc, commands, runner
from engine.binaries import font_path
from engine.control import Control
from engine.failures import RunFailed, cause_of_bad_output, failure_of, without_paths
from engine.fonts import FONTS_LIST, lay_out_font
from engine.joining import Join, check_join, joined
from engine.procedure import Findings, Procedure
from engine.procedures import bars, loudness, target_quality, target_size
from engine.progress import ProgressMeter, ProgressReporter
from engine.runner import Outcome
from engine.score import scorable, score
from engine.stages import stage
from engine.storage import sha256_of, sync_directory, sync_file
from engine.streaming import finish_stream
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Expectation, OutputPlan, Plan, StepPlan
from engine.types.recipes import FONT, SOURCE, FileRecipe, Input, Lettering, Run
from engine.types.results import Artifact, Check, Progress, Verification
from engine.verify import verify
from engine.whitelist import RESULTS, UPLOADS, Reading
from engine.words import ass_of, cues_of, shown_until, srt_of
from problems import Problem

# Running is nearly all of the work; verification and checksums fill the rest of the bar.
_RUNS_END = 0.97
_MOST_WORDS = 16 * 1024**2  # characters of one track of subtitles

_PROCEDURES: Mapping[str, Procedure] = {
    "loudness": loudness.carry_out,
    "bars": bars.carry_out,
    "target_size": target_size.carry_out,
    "target_quality": target_quality.carry_out,
}


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a finished step leaves: files in the working directory, CPU seconds used, the log's tail.

    `parts` are by name, on disk to stay, and not verified: they count for nothing until an output made of
    them has been.
    """

    artifacts: tuple[Artifact, ...]
    parts: Mapping[str, Path]
    cpu_seconds: float
    log: str


def execute(
    plan: Plan,
    position: int,
    *,
    sources: Mapping[str, Path],
    parts: Mapping[str, Path] | None = None,
    work_dir: Path,
    limits: Limits,
    on_progress: Callable[[Progress], None],
    control: Control,
) -> StepResult:
    """Run the step at `position` and hand back its verified files, on disk to stay.

    `sources` are the files its runs read, by name; `parts` those that the steps it needs have made, on the
    same file system as `work_dir`. `on_progress` is called in this thread, at most four times a second, never
    falling, with 1.0 only after every check has passed.

    Raises RunFailed (a Problem with `log`) when a tool or a check fails, Problem("source_missing") for a
    source, Problem("part_missing") for a part, and Stopped within a second after `control` says stop; by then
    no process of this step is left.
    """
    step = next(item for item in plan.steps if item.position == position)
    if not all(source.is_file() for source in sources.values()):
        raise Problem("source_missing")
    work_dir.mkdir(parents=True, exist_ok=True)
    _link(parts or {}, plan.parts_for(step), work_dir)
    execution = _Execution(
        plan=plan,
        step=step,
        sources=sources,
        work_dir=work_dir,
        limits=limits,
        reporter=ProgressReporter(on_progress),
        control=control,
    )
    try:
        return execution.run()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunFailed("disk_full", log=execution.log) from error
        raise


def _link(parts: Mapping[str, Path], wanted: Iterable[str], work_dir: Path) -> None:
    for name in wanted:
        try:
            (work_dir / name).hardlink_to(parts[name])
        except (KeyError, FileNotFoundError) as error:
            raise Problem("part_missing") from error


def _link_to(target: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


class _Execution:
    """One step on its way: what all its parts share."""

    def __init__(
        self,
        *,
        plan: Plan,
        step: StepPlan,
        sources: Mapping[str, Path],
        work_dir: Path,
        limits: Limits,
        reporter: ProgressReporter,
        control: Control,
    ) -> None:
        self._plan = plan
        self._step = step
        self._sources = sources
        self._work_dir = work_dir
        self._limits = limits
        self._reporter = reporter
        self._control = control
        self._cpu_seconds = 0.0
        self._log = ""
        self._stretch = (0.0, 1.0)
        self._found = Findings()
        self._fonts: Path | None = None
        self._joins: dict[str, Join] = {}

    @property
    def log(self) -> str:
        """The tail of everything the tools said, fit to be shown."""
        return self._log[-self._limits.log_bytes :]

    def run(self) -> StepResult:
        try:
            artifacts = self._made(self._step.runs)
        except RunFailed as problem:
            if not self._step.otherwise or problem.code == "disk_full":
                raise
            self._add(f"the quick way does not work here: {problem.detail}\n")
            artifacts = self._made(self._step.otherwise)
        parts = {name: self._work_dir / name for name in self._step.parts}
        for part in parts.values():
            sync_file(part)
        sync_directory(self._work_dir)
        self._reporter(Progress(fraction=1.0, eta_seconds=0.0), urgent=True)
        return StepResult(artifacts=artifacts, parts=parts, cpu_seconds=self._cpu_seconds, log=self.log)

    def _made(self, runs: tuple[Run, ...]) -> tuple[Artifact, ...]:
        """The verified outputs of these runs, and those whose words are known from the plan."""
        self._found = Findings()
        self._joins = {}
        total = sum(run.expected_duration for run in runs) or 1.0
        done = 0.0
        for run in runs:
            begin, done = done, done + run.expected_duration
            self._do(run, begin / total * _RUNS_END, done / total * _RUNS_END)
        self._reporter(Progress(fraction=_RUNS_END), urgent=True)
        roles = [file.role for run in runs for file in run.files if file.part is None]
        artifacts = [self._finish(self._plan.output_for(role)) for role in dict.fromkeys(roles)]
        if self._step.position == 0:
            artifacts += [self._write(output) for output in self._plan.outputs if output.text is not None]
        return tuple(artifacts)

    # --------------------------------------------------------------- what procedures may use, see Bench

    def opened(self, item: Input) -> tuple[Path, Reading]:
        if item.parts:
            (name,) = item.parts
            return self._work_dir / name, RESULTS
        return self._sources[item.source], UPLOADS

    @property
    def work_dir(self) -> Path:
        return self._work_dir

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def control(self) -> Control:
        return self._control

    def path(self, role: str) -> Path:
        return self._work_dir / self._plan.output_for(role).filename

    def expectation(self, role: str) -> Expectation:
        return self._plan.output_for(role).expectation

    def meter(self, expected: float, begin: float, end: float) -> ProgressMeter:
        low, high = self._stretch
        return ProgressMeter(
            expected,
            self._reporter,
            begin=low + begin * (high - low),
            end=low + end * (high - low),
        )

    def note(self, text: str, *, cpu_seconds: float = 0.0) -> None:
        self._cpu_seconds += cpu_seconds
        self._add(f"{text}\n")

    def failure(self, code: str, **data: object) -> RunFailed:
        return RunFailed(code, log=self.log, **data)

    def start(self, argv: Sequence[str], expected: float, begin: float, end: float) -> Outcome:
        """Start a tool in the working directory. Raises RunFailed and Stopped."""
        started = time.monotonic()
        try:
            outcome = runner.run(
                argv,
                cwd=self._work_dir,
                limits=self._limits,
                control=self._control,
                meter=self.meter(expected, begin, end),
                fonts=self._fonts,
                sees=self._sources.values(),
            )
        except runner.Killed as killed:
            outcome = killed.outcome
        self._cpu_seconds += outcome.cpu_seconds
        self._add(f"$ {runner.spoken(argv)}\n{outcome.log.rstrip()}\n")
        self._add(f"ended after {time.monotonic() - started:.1f} s, {outcome.cpu_seconds:.1f} CPU s\n")
        if not outcome.succeeded:
            raise failure_of(outcome, self._limits, log=self.log)
        return outcome

    def encode(self, run: Run, begin: float = 0.0, end: float = 1.0) -> None:
        run = self._joined(run)
        argv = commands.encode_argv(
            self._plan, run, sources=self._sources, work_dir=self._work_dir, limits=self._limits
        )
        self._lay_out(run)
        drawn = run.lettering is not None and run.lettering.width
        self._fonts = self._work_dir / FONTS_LIST if drawn else None
        self.start(argv, run.expected_duration, begin, end)
        for file in run.files:
            self._complete_header(file)

    # --------------------------------------------------------------------------------------------------

    def _do(self, run: Run, begin: float, end: float) -> None:
        self._stretch = (begin, end)
        if run.procedure is None:
            self.encode(run)
            return
        found = _PROCEDURES[run.procedure.name](run, self)
        self._found = Findings(
            expectations={**self._found.expectations, **found.expectations},
            checks={**self._found.checks, **found.checks},
        )

    def _complete_header(self, file: FileRecipe) -> None:
        if file.parameter_sets is None:
            return
        path, sets = (self._work_dir / name for name in (self._plan.file_name(file), file.parameter_sets))
        try:
            avc.add_parameter_sets(path, sets)
        except avc.NoPlace as error:
            raise RunFailed("output_invalid", reason=f"It has {error}.", log=self.log) from error

    def _joined(self, run: Run) -> Run:
        """The run with its pieces at their own times, once they are seen to fit."""
        inputs = list(run.inputs)
        for position, item in enumerate(run.inputs):
            if not item.cuts:
                continue
            source = self._sources.get(item.source)
            join = joined(
                position, item, self._work_dir, source=source, limits=self._limits, control=self._control
            )
            inputs[position] = item.model_copy(update={"zero": -join.starts[0]})
            self._joins |= {file.role: join for file in run.files}
        return run.model_copy(update={"inputs": tuple(inputs)})

    def _lay_out(self, run: Run) -> None:
        """Put the files that filters read into the working directory, where the tool is started."""
        for position, item in enumerate(run.inputs):
            if len(item.parts) > 1:
                starts = next((join.starts for join in self._joins.values() if join.position == position), ())
                text = commands.parts_list(item, starts)
                (self._work_dir / commands.list_name(position)).write_text(text)
        for recipe in run.files:
            (self._work_dir / self._plan.file_name(recipe)).parent.mkdir(parents=True, exist_ok=True)
        for name, text in run.texts.items():
            (self._work_dir / name).write_text(text, encoding="utf-8")
        if run.font:
            _link_to(font_path(), self._work_dir / FONT)
        for name, source in run.pictures.items():
            _link_to(self._sources[source].absolute(), self._work_dir / name)
        if run.lettering is not None:
            self._letter(run.lettering)

    def _letter(self, wish: Lettering) -> None:
        """Write the subtitles as they are to be drawn or added. Raises RunFailed where there are none."""
        path = self._work_dir / wish.part if wish.part is not None else self._sources[wish.source or SOURCE]
        with path.open(encoding="utf-8", errors="replace") as file:
            cues = shown_until(cues_of(file.read(_MOST_WORDS)), wish.until)
        if not cues:
            reason = "The subtitles have no lines within the length of the video."
            raise RunFailed("parameters_do_not_fit", reason=reason, log=self.log)
        if wish.width:
            picture = (wish.width, wish.height)
            text = ass_of(cues, picture=picture, size=wish.size, brightness=wish.brightness)
            lay_out_font(self._work_dir)
        else:
            text = srt_of(cues)
        (self._work_dir / wish.file).write_text(text, encoding="utf-8")

    def _write(self, output: OutputPlan) -> Artifact:
        """A file whose words are known from the plan."""
        data = str(output.text).encode()
        path = self._work_dir / output.filename
        path.write_bytes(data)
        same = path.read_bytes() == data
        check = Check(name="content", passed=same, expected="as planned", actual=f"{len(data)} bytes")
        return self._kept(output, path, Verification(report=(check,)), media=None)

    def _finish(self, output: OutputPlan) -> Artifact:
        path = self._work_dir / output.filename
        changed = self._found.expectations.get(output.role)
        if changed is not None:
            output = output.model_copy(update={"expectation": changed})
        try:
            if output.members:
                return self._finish_stream(path.parent, output)
            with stage("verify", role=output.role):
                verified = verify(
                    path,
                    output,
                    source=self._sources[SOURCE],
                    limits=self._limits,
                    control=self._control,
                )
        except RunFailed as problem:
            self._add(f"{output.filename}: {problem.detail}\n{problem.log}")
            raise cause_of_bad_output(problem, self._limits, log=self.log) from problem
        self._cpu_seconds += verified.cpu_seconds
        report = verified.verification.report + self._check_join(output, path)
        for check in report:
            self._add(f"{output.filename}: {check.name}: {check.actual}, as expected\n")
        more = self._found.checks.get(output.role, ()) + self._scored(output, path, verified.media)
        return self._kept(output, path, Verification(report=(*report, *more)), media=verified.media)

    def _scored(self, output: OutputPlan, path: Path, media: MediaInfo) -> tuple[Check, ...]:
        """How like its source it looks, where that was asked for and can be told."""
        origin = output.expectation.origin
        whole = (*self._step.runs, *(self._plan.undivided.runs if self._plan.undivided else ()))
        pictures = [
            picture
            for run in whole
            for file in run.files
            if file.role == output.role and (picture := scorable(file, origin)) is not None
        ]
        if not output.expectation.score or not pictures or origin is None or media.main_video is None:
            return ()
        found = score(
            path,
            self._sources[SOURCE],
            pictures[-1],
            origin,
            duration=media.main_video.duration or media.duration,
            rate=media.main_video.frame_rate,
            limits=self._limits,
            control=self._control,
        )
        if found is None:
            return ()
        self.note(f"{output.filename}: {found.check.actual}", cpu_seconds=found.cpu_seconds)
        return (found.check,)

    def _kept(
        self, output: OutputPlan, path: Path, report: Verification, *, media: MediaInfo | None
    ) -> Artifact:
        sync_file(path)
        return Artifact(
            role=output.role,
            path=path,
            extension=output.extension,
            content_type=output.content_type,
            size=path.stat().st_size,
            sha256=sha256_of(path, control=self._control),
            media_info=media,
            verification=report,
        )

    def _finish_stream(self, folder: Path, output: OutputPlan) -> Artifact:
        made = finish_stream(folder, output, limits=self._limits, control=self._control)
        self._cpu_seconds += made.cpu_seconds
        for check in made.artifact.verification.report:
            self._add(f"{check.name}: {check.actual}, as expected\n")
        return made.artifact

    def _check_join(self, output: OutputPlan, path: Path) -> tuple[Check, ...]:
        join = self._joins.get(output.role)
        if join is None:
            return ()
        report, cpu_seconds, log = check_join(
            path,
            join,
            decoded_whole=output.expectation.joined,
            limits=self._limits,
            control=self._control,
        )
        self._cpu_seconds += cpu_seconds
        self._add(log)
        wrong = [
            f"{check.name} should be {check.expected}: {check.actual}" for check in report if not check.passed
        ]
        if wrong:
            raise RunFailed("parts_do_not_join", reason="; ".join(wrong) + ".", log=self.log)
        return report

    def _add(self, text: str) -> None:
        folders = {source.parent for source in self._sources.values()}
        self._log += without_paths(text, self._work_dir, *folders)
        self._log = self._log[-2 * self._limits.log_bytes :]
