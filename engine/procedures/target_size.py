"""Encodes in two passes to a size, measures what came out, and corrects until it fits and fills."""

from __future__ import annotations

from pathlib import Path

from engine.failures import RunFailed
from engine.procedure import Bench, Findings
from engine.types.recipes import FileRecipe, Run, StreamRecipe
from engine.types.results import Check

_LOG = "pass"
_AIM = 0.97
_FILLED = 0.9
_CORRECTIONS = 5
_FIRST_PASS, _SECOND_PASS = 0.3, 0.75
_GREW = 1.03
_BOLDEST = 5.0
_TOO_LOW = "requested bitrate is too low"
_LAST_WORDS = 4_000


def carry_out(run: Run, bench: Bench) -> Findings:
    """Settings: `bytes` not to be passed, `fixed` bytes that are not picture, `bits` a second to begin with.

    Raises RunFailed("parameters_do_not_fit") where nothing small enough can be made.
    """
    assert run.procedure is not None  # noqa: S101 - execute came here by its name
    settings = run.procedure.settings
    most, fixed, bits = (float(settings[name]) for name in ("bytes", "fixed", "bits"))
    (file,) = run.files
    path = bench.path(file.role)
    picture = next(stream for stream in file.streams if stream.kind == "video")
    if picture.action == "copy":
        bench.encode(run, 0.0, 1.0)
        if path.stat().st_size > most:
            raise bench.failure("parameters_do_not_fit", reason="Even an untouched copy is larger than that.")
        return _findings(file.role, most, path.stat().st_size, attempts=1)
    bench.encode(_pass(run, file, picture, bits, 1), 0.0, _FIRST_PASS)
    kept = path.with_name(f"kept.{path.name}")
    best = 0
    tried: list[tuple[float, int]] = []
    begin, end = _FIRST_PASS, _SECOND_PASS
    attempts = 0
    while attempts <= _CORRECTIONS:
        attempts += 1
        try:
            bench.encode(_pass(run, file, picture, bits, 2), begin, end)
        except RunFailed as problem:
            # x264 knows from its first pass what it cannot do.
            if _TOO_LOW not in problem.log[-_LAST_WORDS:]:
                raise
            break
        begin, end = end, (end + 1.0) / 2
        size = path.stat().st_size
        bench.note(f"{bits / 1000:.0f} kbit/s gave {size} of {most:.0f} bytes")
        grew = size > best * _GREW
        if best < size <= most:
            best = size
            path.replace(kept)
        # A picture too plain for the size does not grow with the rate, whatever the encoder's noise.
        plain = size <= most and not grew and max(tried, default=(0.0, 0))[1] <= most
        if _FILLED * most <= best or plain:
            break
        tried.append((bits, size))
        bits = _corrected(tried, most, fixed)
    _tidy(path)
    if not best:
        reason = f"{most:.0f} bytes are fewer than this picture can be encoded in."
        raise bench.failure("parameters_do_not_fit", reason=reason)
    kept.replace(path)
    return _findings(file.role, most, best, attempts)


def _corrected(tried: list[tuple[float, int]], most: float, fixed: float) -> float:
    """The next rate: between the closest that gave too little and too much, or by what the last one gave."""
    below = max((item for item in tried if item[1] <= most), default=None)
    above = min((item for item in tried if item[1] > most), default=None)
    if below and above and below[0] < above[0]:
        (low, small), (high, large) = below, above
        share = (most * _AIM - small) / max(1, large - small)
        return low + min(0.9, max(0.1, share)) * (high - low)
    bits, size = tried[-1]
    wanted, found = max(1.0, most * _AIM - fixed), max(1.0, size - fixed)
    return bits * min(_BOLDEST, max(1 / _BOLDEST, wanted / found))


def _pass(run: Run, file: FileRecipe, picture: StreamRecipe, bits: float, number: int) -> Run:
    """The run at a bit rate; the first pass only looks, and writes nothing but its notes."""
    options = {name: value for name, value in picture.options.items() if name != "crf"}
    options |= {"b": round(bits), "pass": number, "passlogfile": _LOG}
    encoded = picture.model_copy(update={"options": options})
    if number == 1:
        files = (
            file.model_copy(
                update={"streams": (encoded,), "muxer": "null", "options": {}, "chapters": False}
            ),
        )
    else:
        streams = tuple(encoded if stream == picture else stream for stream in file.streams)
        files = (file.model_copy(update={"streams": streams}),)
    return run.model_copy(update={"files": files})


def _tidy(path: Path) -> None:
    for note in path.parent.glob(f"{_LOG}-*"):
        note.unlink()
    path.unlink(missing_ok=True)


def _findings(role: str, most: float, size: int, attempts: int) -> Findings:
    check = Check(
        name="size",
        passed=size <= most,
        expected=f"at most {most:.0f} bytes",
        actual=f"{size} bytes, {size / most:.1%} of it, at attempt {attempts}",
    )
    return Findings(checks={role: (check,)})
