"""Looks for the coarsest encoding that still looks as good as asked, on samples, then encodes all with it.

VMAF is a figure from 0 to 100 for how like its source an encoded picture looks to people; from about 93 on
most see no difference. Samples are kept without loss in the size they will be shown in, so source and trial
are compared frame by frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine import commands
from engine.procedure import Bench, Findings
from engine.types.recipes import Run, StreamRecipe
from engine.types.results import Check

_SAMPLE, _TRIAL = "sample.mkv", "trial.mkv"
_SHARE = 0.1
_LEAST_SECONDS, _MOST_SECONDS = 2.0, 12.0
_MOST_PIXELS = 800e6
_ONE_LOOK_UNTIL = 10.0
_LOOKS = 4

_TRIALS = 7
_CLOSE = 0.5
_POINTS_PER_STEP = 0.9
_SEARCHED = 0.5


@dataclass(frozen=True, slots=True)
class _Trial:
    crf: int
    score: float
    bits: float


def carry_out(run: Run, bench: Bench) -> Findings:
    """Settings: `vmaf` to reach, `low` and `high` of the codec's CRF, `start`, `pixels` a second, `bits`.

    `bits` a second are those of the source's picture. Raises RunFailed("parameters_do_not_fit") where the
    quality cannot be reached, or only with a file that is no smaller.
    """
    assert run.procedure is not None  # noqa: S101 - execute came here by its name
    settings = run.procedure.settings
    wanted, source_bits = float(settings["vmaf"]), float(settings["bits"])
    (file,) = run.files
    picture = next(stream for stream in file.streams if stream.kind == "video")
    seconds = _sample(run, picture, bench, float(settings["pixels"]))
    low, high, start = (int(settings[name]) for name in ("low", "high", "start"))
    found = _search(bench, picture, seconds, wanted, low=low, high=high, start=start)
    for name in (_SAMPLE, _TRIAL):
        (bench.work_dir / name).unlink(missing_ok=True)
    if found.score < wanted:
        reason = f"The best that could be reached is VMAF {found.score:.1f}, at CRF {found.crf}."
        raise bench.failure("parameters_do_not_fit", reason=reason)
    if found.bits > source_bits > 0:
        reason = (
            f"The source is compressed so well that VMAF {wanted:g} would make it larger: "
            f"{found.bits / 1000:.0f} instead of {source_bits / 1000:.0f} kbit/s."
        )
        raise bench.failure("parameters_do_not_fit", reason=reason)
    chosen = picture.model_copy(update={"options": {**picture.options, "crf": found.crf}})
    streams = tuple(chosen if stream == picture else stream for stream in file.streams)
    bench.encode(
        run.model_copy(update={"files": (file.model_copy(update={"streams": streams}),)}), _SEARCHED, 1.0
    )
    check = Check(
        name="quality",
        passed=True,
        expected=f"VMAF {wanted:g} or more",
        actual=f"VMAF {found.score:.1f} at CRF {found.crf}, on {seconds:.0f} s of samples",
    )
    return Findings(checks={file.role: (check,)})


def _sample(run: Run, picture: StreamRecipe, bench: Bench, pixels: float) -> float:
    """Write the samples one after the other into a file without loss, and say how long that is."""
    duration = run.expected_duration
    total = min(_MOST_SECONDS, max(_LEAST_SECONDS, duration * _SHARE), _MOST_PIXELS / max(pixels, 1.0))
    total = min(total, duration)
    count = 1 if duration < _ONE_LOOK_UNTIL else _LOOKS
    length = total / count
    starts = [max(0.0, duration * (number + 0.5) / count - length / 2) for number in range(count)]
    path, reading = bench.opened(run.inputs[picture.input])
    argv = commands.samples_argv(
        path,
        picture,
        starts,
        length,
        bench.work_dir / _SAMPLE,
        reading=reading,
        limits=bench.limits,
    )
    bench.start(argv, total, 0.0, 0.05)
    return total


def _search(
    bench: Bench, picture: StreamRecipe, seconds: float, wanted: float, *, low: int, high: int, start: int
) -> _Trial:
    """The trial with the largest CRF that looks good enough; the best one if none does."""
    good: _Trial | None = None
    bad: _Trial | None = None
    crf = min(high, max(low, start))
    step = (_SEARCHED - 0.05) / _TRIALS
    for number in range(_TRIALS):
        stretch = (0.05 + number * step, 0.05 + (number + 1) * step)
        trial = _tried(bench, picture, crf, seconds, stretch)
        bench.note(f"CRF {crf}: VMAF {trial.score:.2f}, {trial.bits / 1000:.0f} kbit/s")
        if trial.score >= wanted:
            good = trial
        else:
            bad = trial
        following = _next(good, bad, wanted, low, high)
        if following is None:
            break
        crf = following
    found = good or bad
    assert found is not None  # noqa: S101 - at least one was tried
    return found


def _next(good: _Trial | None, bad: _Trial | None, wanted: float, low: int, high: int) -> int | None:
    """Where to look next; None when there is nothing better to be found."""
    if good is not None and good.score - wanted <= _CLOSE:
        return None
    if good is not None and bad is not None:
        if bad.crf - good.crf <= 1:
            return None
        share = (good.score - wanted) / max(good.score - bad.score, 0.01)
        return min(bad.crf - 1, max(good.crf + 1, good.crf + round(share * (bad.crf - good.crf))))
    known = good or bad
    assert known is not None  # noqa: S101 - one of them was just tried
    away = (known.score - wanted) / _POINTS_PER_STEP
    aim = min(high, max(low, known.crf + (max(1, round(away)) if good else min(-1, round(away)))))
    return None if aim == known.crf else aim


def _tried(
    bench: Bench, picture: StreamRecipe, crf: int, seconds: float, stretch: tuple[float, float]
) -> _Trial:
    sample, trial = bench.work_dir / _SAMPLE, bench.work_dir / _TRIAL
    recipe = picture.model_copy(update={"options": {**picture.options, "crf": crf}})
    begin, end = stretch
    middle = (begin + end) / 2
    bench.start(commands.trial_argv(sample, recipe, trial, limits=bench.limits), seconds, begin, middle)
    outcome = bench.start(commands.vmaf_argv(trial, sample, limits=bench.limits), seconds, middle, end)
    found = re.search(r"VMAF score: ([\d.]+)", outcome.log)
    if found is None:
        raise bench.failure("encoder_failed")
    return _Trial(crf, float(found[1]), trial.stat().st_size * 8 / seconds)
