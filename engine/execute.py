"""Runs one step of a plan: ffmpeg, verification, checksums, fsync. The jobs floor calls only this.

Everything it writes is inside `work_dir`, which belongs to one attempt. It never touches the source, never
publishes, and may be killed at any instant: what it leaves then is only scratch.
"""

from __future__ import annotations

import errno
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import commands, loudness, runner
from engine.binaries import font_path
from engine.control import Control
from engine.failures import RunFailed, cause_of_bad_output, failure_of, without_paths
from engine.joining import Join, check_join, joined
from engine.progress import ProgressMeter, ProgressReporter
from engine.storage import sha256_of, sync_directory, sync_file
from engine.types import (
    FONT,
    SOURCE,
    Artifact,
    Check,
    Filter,
    Limits,
    OutputPlan,
    Plan,
    Progress,
    Run,
    StepPlan,
    Verification,
)
from engine.verify import verify
from engine.whitelist import UPLOADS
from problems import Problem

# Running is nearly all of the work; verification and checksums fill the rest of the bar.
_RUNS_END = 0.97
_LONG_LIST = 20


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
        self._joins: dict[str, Join] = {}

    @property
    def log(self) -> str:
        """The tail of everything the tools said, fit to be shown."""
        return self._log[-self._limits.log_bytes :]

    def run(self) -> StepResult:
        total = sum(run.expected_duration for run in self._step.runs) or 1.0
        done = 0.0
        for run in self._step.runs:
            begin, done = done, done + run.expected_duration
            self._encode(run, begin / total * _RUNS_END, done / total * _RUNS_END)
        self._reporter(Progress(fraction=_RUNS_END), urgent=True)
        roles = [file.role for run in self._step.runs for file in run.files if file.part is None]
        artifacts = tuple(self._finish(self._plan.output_for(role)) for role in roles)
        parts = {name: self._work_dir / name for name in self._step.parts}
        for part in parts.values():
            sync_file(part)
        sync_directory(self._work_dir)
        self._reporter(Progress(fraction=1.0, eta_seconds=0.0), urgent=True)
        return StepResult(artifacts=artifacts, parts=parts, cpu_seconds=self._cpu_seconds, log=self.log)

    def _encode(self, run: Run, begin: float, end: float) -> None:
        if run.listens:
            middle = (begin + end) / 2
            run, begin = self._listened(run, begin, middle), middle
        run = self._joined(run)
        argv = commands.encode_argv(
            self._plan, run, sources=self._sources, work_dir=self._work_dir, limits=self._limits
        )
        self._lay_out(run)
        meter = ProgressMeter(run.expected_duration, self._reporter, begin=begin, end=end)
        started = time.monotonic()
        outcome = runner.run(
            argv, cwd=self._work_dir, limits=self._limits, control=self._control, meter=meter
        )
        self._cpu_seconds += outcome.cpu_seconds
        # The lists of what may be opened are long and always the same.
        words = [Path(argv[0]).name, *("..." if word.count(",") > _LONG_LIST else word for word in argv[1:])]
        self._add(f"$ {shlex.join(words)}\n{outcome.log.rstrip()}\n")
        self._add(f"ended after {time.monotonic() - started:.1f} s, {outcome.cpu_seconds:.1f} CPU s\n")
        if not outcome.succeeded:
            raise failure_of(outcome, self._limits, log=self.log)

    def _listened(self, run: Run, begin: float, end: float) -> Run:
        """The run with what was measured put into its filters. Raises RunFailed for a silent video."""
        tracks = [
            stream
            for file in run.files
            for stream in file.streams
            if any(item.name == loudness.FILTER for item in stream.filters)
        ]
        chains: dict[int, tuple[Filter, ...]] = {}
        heard = False
        for number, track in enumerate(tracks):
            share = (end - begin) / len(tracks)
            wish = next(item for item in track.filters if item.name == loudness.FILTER)
            found = loudness.measure_loudness(
                self._sources[run.inputs[track.input].source],
                str(track.source_index),
                reading=UPLOADS,
                limits=self._limits,
                control=self._control,
                meter=ProgressMeter(
                    run.expected_duration,
                    self._reporter,
                    begin=begin + number * share,
                    end=begin + (number + 1) * share,
                ),
                target=wish.options,
            )
            self._cpu_seconds += found.cpu_seconds
            level = "silence" if found.integrated is None else f"{found.integrated:.1f} LUFS"
            self._add(f"sound track {number + 1}: {level}\n")
            heard = heard or found.integrated is not None
            chains[track.source_index] = found.applied(track.filters)
        if not heard:
            reason = "The sound is silent, or too short to have a loudness."
            raise RunFailed("parameters_do_not_fit", reason=reason, log=self.log)
        files = tuple(
            file.model_copy(
                update={
                    "streams": tuple(
                        stream.model_copy(update={"filters": chains.get(stream.source_index, stream.filters)})
                        for stream in file.streams
                    )
                }
            )
            for file in run.files
        )
        return run.model_copy(update={"files": files})

    def _joined(self, run: Run) -> Run:
        """The run with its pieces at their own times, once they are seen to fit."""
        inputs = list(run.inputs)
        for position, item in enumerate(run.inputs):
            if not item.cuts:
                continue
            source = self._sources.get(SOURCE)
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
        for name, text in run.texts.items():
            (self._work_dir / name).write_text(text, encoding="utf-8")
        if run.font:
            link = self._work_dir / FONT
            link.unlink(missing_ok=True)
            link.symlink_to(font_path())

    def _finish(self, output: OutputPlan) -> Artifact:
        path = self._work_dir / output.filename
        try:
            verified = verify(path, output, limits=self._limits, control=self._control)
        except RunFailed as problem:
            self._add(f"{output.filename}: {problem.detail}\n{problem.log}")
            raise cause_of_bad_output(problem, self._limits, log=self.log) from problem
        self._cpu_seconds += verified.cpu_seconds
        report = verified.verification.report + self._check_join(output, path)
        for check in report:
            self._add(f"{output.filename}: {check.name}: {check.actual}, as expected\n")
        sync_file(path)
        return Artifact(
            role=output.role,
            path=path,
            extension=output.extension,
            content_type=output.content_type,
            size=path.stat().st_size,
            sha256=sha256_of(path, control=self._control),
            media_info=verified.media,
            verification=Verification(report=report),
        )

    def _check_join(self, output: OutputPlan, path: Path) -> tuple[Check, ...]:
        join = self._joins.get(output.role)
        if join is None:
            return ()
        report, cpu_seconds, log = check_join(path, join, limits=self._limits, control=self._control)
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
