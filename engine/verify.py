"""Looks at what was made before anyone else may: is it what the plan promised?

An exit status proves nothing. Each output is probed and compared with its Expectation, its beginning and end
are decoded (and what lies around the seams of parts, or all of it), and it is looked at beside its source.
The report is kept with the file, also when everything is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.control import Control
from engine.decoding import Decoded, Measured, decode, decode_words, measure
from engine.failures import RunFailed
from engine.glance import compare
from engine.loudness import measure_loudness
from engine.probe import probe, read_tail
from engine.progress import ProgressMeter, ProgressReporter
from engine.types.limits import Limits
from engine.types.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from engine.types.plan import Expectation, ExpectedStream, OutputPlan
from engine.types.results import Check, Verification
from engine.webp import read_animation
from engine.whitelist import PICTURES, RESULTS, WORDS, Reading
from engine.words import cues_of

_BEFORE_SEAM, _BEHIND_SEAM = 0.2, 1.0
_SAMPLE_SECONDS = 2.0
_LOUDNESS_SLACK = 2.0  # a track with few and high peaks cannot be met exactly
_PEAK_SLACK = 1.5  # lossy codecs move peaks, and the filter keeps a little below its limit
_SIZE_SLACK = 1  # rounding of pixels that are not square

# ffprobe guesses the length of some from their bit rate, and of AVI tells that of the picture: they are read.
_MEASURED = frozenset({"aac", "mp3", "avi"})


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that is what it should be."""

    media: MediaInfo
    verification: Verification
    cpu_seconds: float


class _Inspection:
    """One file being checked; gathers lines of the report and CPU seconds."""

    def __init__(
        self, path: Path, expected: Expectation, source: Path | None, limits: Limits, control: Control
    ) -> None:
        self.path = path
        self.source = source
        self.expected = expected
        self.reading: Reading = RESULTS
        if expected.picture or expected.words:
            self.reading = (PICTURES if expected.picture else WORDS)[expected.container]
        # Files of our own may be as large as the limits let them become.
        self.limits = limits
        self.control = control
        self.checks: list[Check] = []
        self.cpu_seconds = 0.0
        self.log = ""
        self.length: float | None = None

    def note(self, name: str, *, passed: bool, expected: object, actual: object) -> bool:
        self.checks.append(Check(name=name, passed=passed, expected=str(expected), actual=str(actual)))
        return passed


def verify(
    path: Path,
    output: OutputPlan,
    *,
    limits: Limits,
    control: Control,
    source: Path | None = None,
    probed: MediaInfo | None = None,
) -> Verified:
    """Check a finished file against its plan, and against the `source` if its plan says how they go together.

    `probed` is what a probe of this very file has found already, so that it need not be asked again.

    Raises RunFailed("output_invalid"), ("output_black") or ("output_silent") with the failed checks as
    reason, and Stopped.
    """
    inspection = _Inspection(path, output.expectation, source, limits, control)
    size = path.stat().st_size if path.is_file() else 0
    media: MediaInfo | None = None
    if output.expectation.animation:
        media = _animation(inspection, size)
    elif inspection.note("not empty", passed=size > 0, expected="more than 0 bytes", actual=f"{size} bytes"):
        media = _probe(inspection) if probed is None else _with_length(inspection, probed)
    if media is not None and not output.expectation.animation:
        _compare(inspection, media)
    report = Verification(report=tuple(inspection.checks))
    if media is None or not report.passed:
        raise _failure(inspection, report)
    return Verified(media=media, verification=report, cpu_seconds=inspection.cpu_seconds)


# Checks that are a cause of their own when nothing else is wrong.
_OWN_CODES = {"not black": "output_black", "not silent": "output_silent"}
_LENGTHS = frozenset({"duration", "decoded length", "reads to its end", "decodes at its end"})


def _failure(inspection: _Inspection, report: Verification) -> RunFailed:
    failed = [check for check in report.report if not check.passed]
    reason = "; ".join(f"{check.name} should be {check.expected} and is {check.actual}" for check in failed)
    names = {check.name for check in failed}
    code = _OWN_CODES.get(next(iter(names)), "output_invalid") if len(names) == 1 else "output_invalid"
    data: dict[str, float] = {}
    expected = inspection.expected
    if names <= _LENGTHS and inspection.length is not None and expected.duration is not None:
        # It may be that the source cannot be read further.
        data = {"readable": round(inspection.length, 2), "duration": round(expected.duration, 2)}
        data = data if data["readable"] < data["duration"] else {}
    return RunFailed(code, reason=f"{reason}.", log=inspection.log, **data)


def _probe(inspection: _Inspection) -> MediaInfo | None:
    try:
        probed = probe(
            inspection.path, reading=inspection.reading, limits=inspection.limits, control=inspection.control
        )
    except RunFailed as problem:
        inspection.log += problem.log
        inspection.note("readable", passed=False, expected="a readable file", actual=problem.detail)
        return None
    inspection.cpu_seconds += probed.cpu_seconds
    return _with_length(inspection, probed.media)


def _with_length(inspection: _Inspection, media: MediaInfo) -> MediaInfo:
    if inspection.expected.picture or media.container not in _MEASURED:
        return media
    return media.model_copy(update={"duration": _measured(inspection).seconds})


def _animation(inspection: _Inspection, size: int) -> MediaInfo | None:
    """Check a moving WebP by its own structure; the probe cannot read it."""
    found = read_animation(inspection.path) if size else None
    if found is None:
        inspection.note("readable", passed=False, expected="a moving WebP", actual="something else")
        return None
    (wanted,) = inspection.expected.streams
    inspection.note(
        "complete", passed=found.whole, expected="every picture", actual=f"{found.pictures} pictures"
    )
    _compare_size(inspection, wanted, found.width, found.height)
    expected = inspection.expected.duration or 0.0
    inspection.note(
        "duration",
        passed=_within(found.duration, inspection.expected),
        expected=f"{expected:.3f} s within {inspection.expected.duration_tolerance:g} s",
        actual=f"{found.duration:.3f} s",
    )
    picture = VideoStream(
        index=0, codec="webp", width=found.width, height=found.height, frames=found.pictures
    )
    return MediaInfo(
        container="webp", format_names=("webp",), duration=found.duration, size=size, video=(picture,)
    )


def _compare(inspection: _Inspection, media: MediaInfo) -> None:
    expected = inspection.expected
    inspection.note(
        "container",
        passed=media.container == expected.container,
        expected=expected.container,
        actual=media.container,
    )
    _compare_streams(inspection, media)
    if expected.picture:
        _decode_picture(inspection)
        return
    if expected.words:
        _read_words(inspection)
        return
    inspection.length = media.duration
    if expected.duration is not None:
        inspection.note(
            "duration",
            passed=_within(media.duration, expected),
            expected=f"{expected.duration:.3f} s within {expected.duration_tolerance:g} s",
            actual=f"{media.duration:.3f} s",
        )
    if expected.loudness is not None:
        _listen(inspection, media, expected.loudness)
    if expected.joined:
        _decode_whole(inspection)
    else:
        _count_frames(inspection, media)
        for seam in expected.seams:
            _decode_seam(inspection, seam)
        _decode_sample(inspection, "beginning", start=None)
        if media.duration > _SAMPLE_SECONDS:
            _decode_sample(inspection, "end", start=media.duration - _SAMPLE_SECONDS)
    _look_beside(inspection, media)


def _compare_streams(inspection: _Inspection, media: MediaInfo) -> None:
    by_kind: dict[str, tuple[VideoStream | AudioStream | SubtitleStream, ...]] = {
        "video": media.video,
        "audio": media.audio,
        "subtitle": media.subtitles,
    }
    for kind, found in by_kind.items():
        wanted = [stream for stream in inspection.expected.streams if stream.kind == kind]
        codecs = [stream.codec for stream in wanted]
        actual = [stream.codec for stream in found]
        if wanted or found:
            inspection.note(
                f"{kind} streams", passed=actual == codecs, expected=_listed(codecs), actual=_listed(actual)
            )
        for stream, real in zip(wanted, found, strict=False):
            if isinstance(real, VideoStream) and stream.width is not None and not inspection.expected.picture:
                _compare_size(inspection, stream, real.display_width, real.display_height)


def _compare_size(inspection: _Inspection, wanted: ExpectedStream, width: int, height: int) -> None:
    slack = _SIZE_SLACK if wanted.copied else 0
    fits = abs(width - (wanted.width or 0)) <= slack and abs(height - (wanted.height or 0)) <= slack
    inspection.note(
        "picture size", passed=fits, expected=f"{wanted.width}x{wanted.height}", actual=f"{width}x{height}"
    )


def _listen(inspection: _Inspection, media: MediaInfo, target: float) -> None:
    """Measure every track. Silence has no loudness and cannot be given one."""
    for number in range(len(media.audio)):
        heard = measure_loudness(
            inspection.path,
            f"a:{number}",
            reading=inspection.reading,
            limits=inspection.limits,
            control=inspection.control,
            meter=ProgressMeter(media.duration, ProgressReporter(lambda _: None)),
            target={"I": target},
        )
        inspection.cpu_seconds += heard.cpu_seconds
        level = heard.integrated
        limit = inspection.expected.true_peak
        peak = heard.figures.get("measured_TP")
        at_its_limit = limit is not None and peak is not None and float(peak) >= limit - _PEAK_SLACK
        inspection.note(
            "loudness",
            passed=(
                level is None or abs(level - target) <= _LOUDNESS_SLACK or (level < target and at_its_limit)
            ),
            expected=f"{target:g} LUFS within {_LOUDNESS_SLACK:g} LU",
            actual="silence" if level is None else f"{level:.1f} LUFS",
        )


def _decode_sample(inspection: _Inspection, name: str, *, start: float | None) -> None:
    """Decode two seconds. Damage in a copied stream came with the source: told, but no fault of ours."""
    expected = inspection.expected.streams
    copied = any(stream.copied for stream in expected)
    decoded = _decode(inspection, start=start, length=_SAMPLE_SECONDS)
    if start is not None and not decoded.frames and not decoded.errors:
        _read_through(inspection)
        return
    # Sound may go on after the last picture, so at the end any frame will do.
    has_video = any(stream.kind == "video" for stream in expected)
    frames = decoded.first_stream if start is None and has_video else decoded.frames
    actual = f"{frames} frames" + (f", {decoded.errors} errors" if decoded.errors else "")
    inspection.note(
        f"decodes at its {name}",
        passed=frames > 0 and (copied or not decoded.errors),
        expected="frames without errors",
        actual=actual,
    )


def _decode_seam(inspection: _Inspection, seam: float) -> None:
    """Decode across a place where parts meet, from the key frame before it to a second behind it."""
    decoded = _decode(inspection, start=max(0.0, seam - _BEFORE_SEAM), length=_BEFORE_SEAM + _BEHIND_SEAM)
    inspection.note(
        f"decodes across {seam:.3f} s",
        passed=decoded.first_stream > 0 and not decoded.errors,
        expected="frames without errors",
        actual=f"{decoded.first_stream} frames" + (f", {decoded.errors} errors" if decoded.errors else ""),
    )


def _read_through(inspection: _Inspection) -> None:
    """No frame begins in the last seconds, as one is held, or it cannot seek there: look at the packets."""
    expected = inspection.expected.duration or 0.0
    tail = read_tail(
        inspection.path,
        max(0.0, expected - _SAMPLE_SECONDS),
        reading=inspection.reading,
        limits=inspection.limits,
        control=inspection.control,
    )
    inspection.cpu_seconds += tail.cpu_seconds
    end = _measured(inspection).seconds if tail.end is None else tail.end
    inspection.note(
        "reads to its end",
        passed=end >= expected - inspection.expected.duration_tolerance,
        expected=f"{expected:.3f} s",
        actual=f"{end:.3f} s",
    )


def _decode_whole(inspection: _Inspection) -> None:
    """Decode everything: where parts meet, a gap or a broken reference can be anywhere."""
    found = _measured(inspection, decoding=True)
    inspection.log += found.log
    expected = inspection.expected
    inspection.note(
        "decodes from end to end",
        passed=not found.errors,
        expected="no errors",
        actual=f"{found.errors} errors" if found.errors else "no errors",
    )
    if expected.duration is not None:
        inspection.note(
            "decoded length",
            passed=_within(found.seconds, expected),
            expected=f"{expected.duration:.3f} s within {expected.duration_tolerance:g} s",
            actual=f"{found.seconds:.3f} s",
        )
    if expected.frames is not None:
        _note_frames(inspection, found.frames)


def _count_frames(inspection: _Inspection, media: MediaInfo) -> None:
    """The count in the index where there is one, else of the packets."""
    if inspection.expected.frames is None or media.main_video is None:
        return
    told = media.main_video.frames
    _note_frames(inspection, _measured(inspection).frames if told is None else told)


def _note_frames(inspection: _Inspection, frames: int) -> None:
    wanted = inspection.expected.frames
    inspection.note("frames", passed=frames == wanted, expected=f"{wanted}", actual=f"{frames}")


def _look_beside(inspection: _Inspection, media: MediaInfo) -> None:
    """Is it black or silent where its source is not?"""
    origin, source = inspection.expected.origin, inspection.source
    if origin is None or source is None or (origin.picture is None and origin.sound is None):
        return
    found = compare(
        inspection.path,
        source,
        origin,
        duration=media.duration,
        layout=media.audio[0].channel_layout if media.audio else None,
        reading=inspection.reading,
        limits=inspection.limits,
        control=inspection.control,
    )
    inspection.cpu_seconds += found.cpu_seconds
    if origin.picture is not None and found.lit:
        inspection.note(
            "not black",
            passed=not found.black,
            expected="light where its source has light",
            actual=_where("black", found.black) or _places_alike(found.lit),
        )
    if origin.sound is not None and found.heard:
        inspection.note(
            "not silent",
            passed=not found.silent,
            expected="sound where its source has sound",
            actual=_where("silent", found.silent) or _places_alike(found.heard),
        )


def _where(word: str, places: tuple[float, ...]) -> str:
    return f"{word} at {', '.join(f'{place:.1f} s' for place in places)}" if places else ""


def _places_alike(count: int) -> str:
    return "alike in the place looked at" if count == 1 else f"alike in {count} places looked at"


def _measured(inspection: _Inspection, *, decoding: bool = False) -> Measured:
    found = measure(
        inspection.path,
        reading=inspection.reading,
        limits=inspection.limits,
        control=inspection.control,
        decoding=decoding,
    )
    inspection.cpu_seconds += found.cpu_seconds
    return found


def _decode_picture(inspection: _Inspection) -> None:
    """Decode a still picture whole; its size comes from the decoder, as some probes cannot open PNG."""
    decoded = _decode(inspection, start=None, length=None)
    inspection.note(
        "decodes",
        passed=decoded.frames == 1 and not decoded.errors,
        expected="1 picture",
        actual=f"{decoded.frames} pictures, {decoded.errors} errors",
    )
    _compare_size(inspection, inspection.expected.streams[0], *decoded.size)


def _read_words(inspection: _Inspection) -> None:
    """Decode every line of a file of subtitles."""
    read = decode_words(
        inspection.path, reading=inspection.reading, limits=inspection.limits, control=inspection.control
    )
    inspection.cpu_seconds += read.cpu_seconds
    inspection.log += read.log
    lines = len(cues_of(read.text))
    inspection.note(
        "lines",
        passed=lines > 0 and not read.errors,
        expected="lines without errors",
        actual=f"{lines} lines" + (f", {read.errors} errors" if read.errors else ""),
    )


def _decode(inspection: _Inspection, *, start: float | None, length: float | None) -> Decoded:
    decoded = decode(
        inspection.path,
        reading=inspection.reading,
        limits=inspection.limits,
        control=inspection.control,
        start=start,
        length=length,
    )
    inspection.cpu_seconds += decoded.cpu_seconds
    inspection.log += decoded.log
    return decoded


def _within(seconds: float, expected: Expectation) -> bool:
    """Whether it is as long as expected; times are told to the millisecond."""
    return round(abs(seconds - (expected.duration or 0.0)), 3) <= expected.duration_tolerance


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
