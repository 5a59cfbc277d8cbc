"""Every cause of the table, made to happen with the real tools, and told by its code."""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.catalogue import parameters_for, plan_for
from engine.causes import CAUSES
from engine.control import Control
from engine.execute import execute
from engine.failures import RunFailed
from engine.intake import intake
from engine.probe import probe
from engine.types.limits import Limits
from engine.types.plan import Expectation, Lane, OutputPlan, Plan, StepPlan
from engine.types.recipes import SOURCE, FileRecipe, Filter, Input, Run, StreamRecipe
from engine.whitelist import UPLOADS
from problems import KINDS, Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.test_plans import media

Result = tuple[str, str]


class Bench:
    """Where causes are brought about: each method is one way to start the engine on something wrong."""

    def __init__(self, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clips = clips
        self.clip()  # before a test puts another tool in the place of ffmpeg
        self.work = tmp_path / "work"
        self.work.mkdir()
        self.patch = monkeypatch

    def clip(self) -> Path:
        return self.clips.container("mp4")

    def run(
        self,
        *streams: StreamRecipe,
        source: Path | None = None,
        container: str = "mp4",
        muxer: str | None = None,
        limits: Limits | None = None,
        **run: float,
    ) -> None:
        """A step as a wrong plan would have it."""
        output = OutputPlan(
            role="video",
            container=container,
            extension=container,
            content_type="video/mp4",
            expectation=Expectation(container=container, streams=()),
        )
        names = {"mkv": "matroska"}
        file = FileRecipe(role="video", muxer=muxer or names.get(container, container), streams=streams)
        wish = Run.model_validate({"expected_duration": 3, "files": (file,), "inputs": (Input(**run),)})
        step = StepPlan(position=0, kind="encode", lane=Lane.ENCODE, runs=(wish,))
        plan = Plan(operation="test", summary="", streams=(), outputs=(output,), steps=(step,))
        self.execute(plan, source or self.clip(), limits or Limits())

    def execute(self, plan: Plan, source: Path, limits: Limits) -> None:
        execute(
            plan,
            0,
            sources={SOURCE: source},
            work_dir=self.work,
            limits=limits,
            on_progress=lambda _: None,
            control=Control(),
        )

    def wish(self, type_: str, raw: Mapping[str, object], *, planned_on: Path, done_on: Path) -> None:
        """An operation whose source changed after it was planned."""
        found = probe(planned_on, reading=UPLOADS, limits=Limits(), control=Control()).media
        self.execute(plan_for(type_, parameters_for(type_, raw), found), done_on, Limits())

    def take_in(self, source: Path) -> None:
        intake(source, self.work, limits=Limits(), on_progress=lambda _: None, control=Control())


def copied(index: int = 0, **options: str | float) -> StreamRecipe:
    return StreamRecipe(kind="video", source_index=index, action="copy", options=dict(options))


def drawn(encoder: str = "libx264", *filters: Filter, **options: str | float) -> StreamRecipe:
    return StreamRecipe(
        kind="video", source_index=0, action="encode", encoder=encoder, filters=filters, options=dict(options)
    )


def heard(encoder: str, **options: str | float) -> StreamRecipe:
    return StreamRecipe(kind="audio", source_index=1, action="encode", encoder=encoder, options=dict(options))


def sized(width: int, height: int) -> Filter:
    return Filter(name="scale", options={"w": width, "h": height})


def full_disk(bench: Bench) -> None:
    (bench.work / "video.mkv").symlink_to("/dev/full")
    bench.run(copied(), container="mkv")


def no_folder(bench: Bench) -> None:
    (bench.work / "video.mp4").mkdir()
    bench.run(copied())


def no_tool(bench: Bench) -> None:
    script = bench.work / "ffmpeg"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    bench.patch.setenv("FFMPEG", str(script))
    bench.run(copied())


def killed(bench: Bench) -> None:
    """An encoder that dies of a signal, as by a fault in a library: its only instruction is none."""
    machine, instruction = {"aarch64": (183, bytes(4))}.get(platform.machine(), (62, b"\x0f\x0b"))
    at, length = 0x400000, 64 + 56 + len(instruction)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, machine, 1, at + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, length, length, 0x1000)
    program = bench.work / "ffmpeg"
    program.write_bytes(head + load + instruction)
    program.chmod(0o755)
    bench.patch.setenv("FFMPEG", str(program))
    bench.run(copied())


def asleep(bench: Bench) -> None:
    script = bench.work / "ffmpeg"
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    script.chmod(0o755)
    bench.patch.setenv("FFMPEG", str(script))
    bench.run(copied(), limits=Limits(stall_seconds=0.3))


def told(bench: Bench, words: str) -> None:
    """What cannot be brought about without another file system: the tool says it."""
    script = bench.work / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho '[out#0/mp4 @ 0x1] [error] {words}' >&2\nexit 1\n")
    script.chmod(0o755)
    bench.patch.setenv("FFMPEG", str(script))
    bench.run(copied())


def black(bench: Bench) -> None:
    dark = Filter(name="drawbox", options={"color": "black", "t": "fill", "w": 320, "h": 180})
    _compared(bench, "not black", drawn("libx264", dark, preset="ultrafast"), 0, None)


def silent(bench: Bench) -> None:
    quiet = Filter(name="volume", options={"volume": 0})
    track = StreamRecipe(kind="audio", source_index=1, action="encode", encoder="aac", filters=(quiet,))
    _compared(bench, "not silent", track, None, 1)


def _compared(
    bench: Bench, _check: str, stream: StreamRecipe, picture: int | None, sound: int | None
) -> None:
    plan = plan_for("resize", parameters_for("resize", {"width": 160}), PLANNED)
    codec = {"video": "h264", "audio": "aac"}[stream.kind]
    output = OutputPlan(
        role="video",
        container="mp4",
        extension="mp4",
        content_type="video/mp4",
        expectation=Expectation.model_validate(
            {
                "container": "mp4" if stream.kind == "video" else "m4a",
                "streams": [{"kind": stream.kind, "codec": codec}],
                "origin": {"picture": picture, "sound": sound},
            }
        ),
    )
    file = FileRecipe(role="video", muxer="mp4" if stream.kind == "video" else "ipod", streams=(stream,))
    step = StepPlan(
        position=0, kind="encode", lane=Lane.ENCODE, runs=(Run(expected_duration=3, files=(file,)),)
    )
    plan = plan.model_copy(update={"outputs": (output,), "steps": (step,)})
    bench.execute(plan, bench.clip(), Limits())


PLANNED = media()


def cut_later(bench: Bench) -> None:
    whole = bench.clips.container("mkv")
    cut = bench.clips.written("cut-later", whole.read_bytes()[: whole.stat().st_size // 2])
    bench.wish("convert", {"format": "mp4"}, planned_on=whole, done_on=cut)


def other_file(bench: Bench) -> None:
    mute = bench.clips.made("mute", *picture(seconds=1), *H264, "-f", "mp4")
    bench.wish("extract_audio", {"format": "mp3"}, planned_on=bench.clip(), done_on=mute)


def not_right(bench: Bench) -> None:
    """The file under the plan became a shorter one that is whole."""
    short = bench.clips.made("short", *picture(seconds=1), *sound(seconds=1), *H264, "-f", "mp4")
    bench.wish("convert", {"format": "mov"}, planned_on=bench.clip(), done_on=short)


def garbage(bench: Bench) -> None:
    noise = bench.clips.written("noise-later", bytes(range(256)) * 200)
    bench.wish("convert", {"format": "mov"}, planned_on=bench.clip(), done_on=noise)


def locked(bench: Bench) -> None:
    key = "00112233445566778899aabbccddeeff"
    bench.take_in(
        bench.clips.made(
            "locked",
            *picture(seconds=1),
            *H264,
            "-encryption_scheme",
            "cenc-aes-ctr",
            "-encryption_key",
            key,
            "-encryption_kid",
            key,
            "-f",
            "mp4",
        )
    )


def text(bench: Bench, data: bytes) -> None:
    bench.take_in(bench.clips.written(f"text-{len(data)}", data))


SUBTITLES = StreamRecipe(kind="subtitle", source_index=1, action="encode", encoder="dvdsub")


def worded(bench: Bench) -> Path:
    words = bench.clips.written("words", b"1\n00:00:00,000 --> 00:00:01,000\nHi\n")
    return bench.clips.made("worded", *picture(seconds=1), "-i", words, *H264, "-f", "matroska")


def avi(bench: Bench) -> Path:
    return bench.clips.made("frames-b", *picture(seconds=1), "-c:v", "mpeg4", "-bf", "2", "-f", "avi")


# What happens -> its code, and how it is brought about.
EVENTS: dict[str, tuple[str, Callable[[Bench], None]]] = {
    "the sandbox cannot be set up": (
        "sandbox_failed",
        lambda b: b.run(copied(), limits=Limits(nice=2**70)),
    ),
    "the disk is full": ("disk_full", full_disk),
    "the disk quota is used up": ("disk_full", lambda b: told(b, "Disk quota exceeded")),
    "the result passes its limit": (
        "output_too_large",
        lambda b: b.run(copied(), container="mkv", limits=Limits(max_output_bytes=20_000)),
    ),
    "too many files are open": ("server_overloaded", lambda b: b.run(copied(), limits=Limits(open_files=4))),
    "the tool cannot be started": ("tool_missing", no_tool),
    "an encoder is missing": ("tool_lacks", lambda b: b.run(drawn("libnone"))),
    "a filter is missing": ("tool_lacks", lambda b: b.run(drawn("libx264", Filter(name="nosuch")))),
    "an option is missing": ("tool_lacks", lambda b: b.run(drawn(nosuch=1))),
    "a filter's option is missing": (
        "tool_lacks",
        lambda b: b.run(drawn("libx264", Filter(name="scale", options={"nosuch": 1}))),
    ),
    "a muxer is missing": ("tool_lacks", lambda b: b.run(copied(), muxer="nosuch")),
    "the picture has too many pixels": (
        "too_large_dimensions",
        lambda b: b.run(drawn(), limits=Limits(max_pixels=1000)),
    ),
    "a codec is off the list": (
        "unsupported_codec",
        lambda b: b.take_in(b.clips.made("magic", *picture(seconds=1), "-c:v", "magicyuv", "-f", "matroska")),
    ),
    "a format is off the list": (
        "unsupported_format",
        lambda b: b.take_in(b.clips.made("nut", *picture(seconds=1), *H264, "-f", "nut")),
    ),
    "there are too many streams": (
        "too_many_streams",
        lambda b: b.take_in(
            b.clips.made(
                "many-mp4",
                *picture(seconds=1),
                *sound(seconds=1),
                *["-map", "1:a"] * 40,
                "-map",
                "0:v",
                *H264,
                "-f",
                "mp4",
            )
        ),
    ),
    "the memory is used up": (
        "out_of_memory",
        lambda b: b.run(drawn("libx264", sized(4096, 2304)), limits=Limits(memory_bytes=500_000_000)),
    ),
    "the file is encrypted": ("input_encrypted", locked),
    "the index or the end is missing": (
        "input_truncated",
        lambda b: text(b, b.clip().read_bytes()[:9000]),
    ),
    "the storage does not answer": (
        "storage_failed",
        lambda b: told(b, "Input/output error"),
    ),
    "the storage cannot be written": ("storage_unwritable", no_folder),
    "a planned stream is not there": ("stream_missing", other_file),
    "subtitles are pictures or should be": (
        "subtitles_not_convertible",
        lambda b: b.run(SUBTITLES, source=worded(b), container="mkv"),
    ),
    "a copy does not fit into the container": (
        "copy_impossible",
        lambda b: b.run(copied(), source=b.clips.container("webm")),
    ),
    "copied frames have no usable times": (
        "timestamps_unusable",
        lambda b: b.run(copied(), source=avi(b), container="mkv"),
    ),
    "the codec cannot carry this size": (
        "picture_not_encodable",
        lambda b: b.run(drawn("libx264", sized(321, 181))),
    ),
    "the codec cannot carry this frame rate": (
        "picture_not_encodable",
        lambda b: b.run(drawn("mpeg4", enc_time_base="1/100000"), container="avi"),
    ),
    "the codec cannot carry these pixels": (
        "picture_not_encodable",
        lambda b: b.run(drawn("libx264", pix_fmt="yuv444p", profile="baseline")),
    ),
    "the codec cannot carry this sample rate": (
        "sound_not_encodable",
        lambda b: b.run(heard("libopus", ar=44100)),
    ),
    "the codec cannot carry these channels": (
        "sound_not_encodable",
        lambda b: b.run(heard("libmp3lame", ac=8)),
    ),
    "the codec cannot carry this bit rate": (
        "sound_not_encodable",
        lambda b: b.run(heard("libopus", b="9000k")),
    ),
    "a filter does not fit the picture": (
        "filter_failed",
        lambda b: b.run(drawn("libx264", Filter(name="crop", options={"w": 1000, "h": 1000}))),
    ),
    "nothing lies in the part asked for": ("nothing_to_write", lambda b: b.run(drawn(), start=100, length=1)),
    # Not by a line of the table, but by how a tool ended, by its complaints, or by our own checks.
    "the tool died of a signal": ("encoder_crashed", killed),
    "the tool made no progress": ("encoder_stalled", asleep),
    "the tool failed and does not say why": ("encoder_failed", lambda b: told(b, "Something new")),
    "the source became garbage": ("input_corrupt", garbage),
    "the source ends early": ("input_ends_early", cut_later),
    "the result is not what was planned": ("output_invalid", not_right),
    "the result is black": ("output_black", black),
    "the result is silent": ("output_silent", silent),
    "the source is gone": ("source_missing", lambda b: b.run(copied(), source=b.work / "gone")),
    "the upload is empty": ("upload_empty", lambda b: text(b, b"")),
    "the upload is no video": ("not_a_video", lambda b: text(b, b"words" * 99)),
    "the upload has no picture": (
        "no_video_stream",
        lambda b: b.take_in(b.clips.made("sound-mp4", *sound(seconds=1), "-f", "mp4")),
    ),
}


@pytest.fixture
def bench(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(clips, tmp_path, monkeypatch)


@pytest.mark.parametrize("event", EVENTS)
def test_every_cause_is_told(bench: Bench, event: str) -> None:
    code, happen = EVENTS[event]
    with pytest.raises(Problem) as caught:
        happen(bench)
    problem = caught.value
    assert problem.code == code, getattr(problem, "log", "")
    assert problem.detail
    assert problem.hint
    assert str(bench.work) not in problem.detail
    if isinstance(problem, RunFailed):
        assert str(bench.work.parent) not in problem.log


def test_every_line_of_the_table_is_made_to_happen() -> None:
    # A file whose format has no name is what some builds say of the same file.
    unmade = {cause.name for cause in CAUSES} - set(EVENTS)
    assert unmade == {"a format without a name is off the list"}
    assert {cause.code for cause in CAUSES} <= set(KINDS)


def test_the_documentation_has_the_whole_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()
    rows = {cause.name: cause.code for cause in CAUSES} | {name: code for name, (code, _) in EVENTS.items()}
    for name, code in rows.items():
        again = "yes" if KINDS[code].retryable else "no"
        assert f"| {name} | `{code}` | {again} |" in text
