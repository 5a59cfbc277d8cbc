"""Long encodes in segments: the same frames at the same times as one command, whatever the source."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.binaries import ffmpeg_path
from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.failures import RunFailed
from engine.intake import intake
from engine.segments import Machine, divided
from engine.types.limits import Limits
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from tests.engine.clips import Clips, picture, sound
from tests.engine.results import duration, only, raw_probe

TWO_CORES = Machine(cores=2, slots=5)
ONE_PLACE = Machine(cores=2, slots=1)
QUICK = Limits(threads=1)
B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "12", "-pix_fmt", "yuv420p"]


def look(source: Path, work_dir: Path) -> MediaInfo:
    """As an upload, with its key frames."""
    return intake(source, work_dir, limits=QUICK, on_progress=lambda _: None, control=Control()).media


def _run(plan: Plan, position: int, source: Path, work_dir: Path, parts: dict[str, Path]) -> StepResult:
    return execute(
        plan,
        position,
        sources={SOURCE: source},
        parts=parts,
        work_dir=work_dir,
        limits=QUICK,
        on_progress=lambda _: None,
        control=Control(),
    )


def run_all(plan: Plan, source: Path, work_dir: Path) -> list[StepResult]:
    """Every step in turn, each with the parts of those before it."""
    parts: dict[str, Path] = {}
    results = []
    for step in plan.steps:
        result = _run(plan, step.position, source, work_dir / str(step.position), parts)
        parts |= result.parts
        results.append(result)
    return results


def times(path: Path, kind: str = "v") -> list[float]:
    """When each decoded frame is shown or heard."""
    command = [str(ffmpeg_path()), "-v", "error", "-copyts", "-i", str(path), "-map", f"0:{kind}:0"]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "demux"] if kind == "v" else []
    run = subprocess.run([*command, "-f", "framecrc", "-"], check=True, capture_output=True, text=True)
    assert not run.stderr
    clock = next(line for line in run.stdout.splitlines() if line.startswith("#tb")).split()[-1]
    tick = int(clock.split("/")[0]) / int(clock.split("/")[1])
    return [int(line.split(",")[2]) * tick for line in run.stdout.splitlines() if line[:1].isdigit()]


def make(name: str, clips: Clips) -> Path:
    """Sources that differ in how their frames lie in time."""
    uneven = [
        "-vf",
        "select='not(mod(n,2))+gt(random(1),0.6)'",
        "-fps_mode",
        "vfr",
        "-enc_time_base",
        "1/90000",
    ]
    small = picture("160x90")
    fields = ["-vf", "setfield=tff", *B_FRAMES, "-x264-params", "tff=1"]
    shapes: dict[str, list[str]] = {
        "b-frames": [*small, *sound(seconds=4), *B_FRAMES, "-c:a", "aac", "-f", "mp4"],
        "open-gop": [
            *picture("160x90", rate="30000/1001", seconds=3.3),
            *sound(),
            *B_FRAMES, "-x264-params", "open-gop=1", "-c:a", "aac", "-f", "mp4",
        ],
        "ntsc": [*picture("160x90", rate="30000/1001", seconds=3.5), *B_FRAMES, "-f", "mp4"],
        "uneven": [*picture("160x90", rate="50"), *uneven, *B_FRAMES, "-f", "mp4"],
        "ten-bit": [*small, "-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-g", "12", "-f", "matroska"],
        "interlaced": [*picture("160x96"), *fields, "-f", "mp4"],
        "late": [
            *sound(), "-itsoffset", "0.52", *picture("160x90", seconds=2.5),
            *B_FRAMES, "-c:a", "libopus", "-f", "matroska",
        ],
    }  # fmt: skip
    return clips.made(f"segments-{name}", *shapes[name])


CASES: dict[str, tuple[str, dict[str, object]]] = {
    "b-frames": ("resize", {"width": 128}),
    "open-gop": ("convert", {"format": "mkv", "quality": "low"}),
    "ntsc": ("convert", {"format": "mp4", "quality": "medium"}),
    "uneven": ("convert", {"format": "mp4", "quality": "medium"}),
    "ten-bit": ("convert", {"format": "mp4", "video_codec": "hevc"}),
    "interlaced": ("convert", {"format": "mov", "quality": "medium"}),
    "late": ("convert", {"format": "mp4", "quality": "medium"}),
}


@pytest.mark.parametrize("case", CASES)
def test_segments_have_the_frames_of_one_command(case: str, clips: Clips, tmp_path: Path) -> None:
    source = make(case, clips)
    type_, wish = CASES[case]
    media = look(source, tmp_path / "look")
    plan = plan_for(type_, parameters_for(type_, wish), media)
    pieces = divided(plan, media, TWO_CORES, seconds=0.9)
    assert len([step for step in pieces.steps if step.kind == "segment"]) >= 2

    alone = only(run_all(plan, source, tmp_path / "alone")[-1])
    *parts, last = run_all(pieces, source, tmp_path / "pieces")
    together = only(last)

    assert not any(part.artifacts for part in parts)
    assert "frames" in [check.name for check in together.verification.report]
    assert len(times(together.path)) == len(times(alone.path))
    assert times(together.path) == pytest.approx(times(alone.path), abs=0.0006)
    assert duration(together.path) == pytest.approx(duration(alone.path), abs=0.005)
    if media.audio:
        assert times(together.path, "a") == pytest.approx(times(alone.path, "a"), abs=0.005)
    kinds = [
        [stream["codec_name"] for stream in raw_probe(item.path)["streams"]] for item in (together, alone)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("piece", "lost"), [(1, {"start": 0.05}), (1, {"end": -0.05}), (1, {"end": 0.05}), (None, {})]
)
def test_a_frame_too_few_or_too_many_is_found(
    piece: int | None, lost: dict[str, float], clips: Clips, tmp_path: Path
) -> None:
    """Segments cut a little beside the moment; and one that is there twice."""
    source = make("b-frames", clips)
    media = look(source, tmp_path / "look")
    plan = plan_for("convert", parameters_for("convert", {"format": "mp4", "quality": "low"}), media)
    plan = divided(plan, media, ONE_PLACE, seconds=0.9)
    parts: dict[str, Path] = {}
    for step in plan.steps[:-1]:
        shifted = _shifted(plan, step.position, lost) if step.position == piece else plan
        parts |= _run(shifted, step.position, source, tmp_path / str(step.position), parts).parts
    if piece is None:
        parts["segment-1.mp4"] = parts["segment-2.mp4"]
    with pytest.raises(RunFailed) as raised:
        _run(plan, plan.steps[-1].position, source, tmp_path / "last", parts)
    assert raised.value.code == "parts_do_not_join"


def _shifted(plan: Plan, position: int, by: dict[str, float]) -> Plan:
    """The plan with one segment's ends moved by so many seconds."""
    data = plan.model_dump(mode="json")
    for item in data["steps"][position]["runs"][0]["files"][0]["streams"][0]["filters"]:
        if item["name"] == "trim":
            item["options"] |= {key: float(item["options"][key]) + move for key, move in by.items()}
    return Plan.model_validate(data)


# ------------------------------------------------------------------------------------------ the cost model


def video_of(seconds: float, *, every: float = 2.0, height: int = 1080, container: str = "mp4") -> MediaInfo:
    """A video as the intake would describe it, with a key frame `every` so many seconds."""
    stream = VideoStream(
        index=0,
        codec="h264",
        width=height * 16 // 9,
        height=height,
        pixel_format="yuv420p",
        frame_rate=30.0,
        key_frames=tuple(round(number * every, 3) for number in range(int(seconds / every))),
        duration=seconds,
        default=True,
    )
    size = round(seconds * 700_000)
    return MediaInfo(container=container, format_names=("mov",), duration=seconds, size=size, video=(stream,))


def segments_of(media: MediaInfo, machine: Machine, **wish: object) -> list[float]:
    """How long the model makes each segment; none where it does not divide."""
    plan = plan_for("convert", parameters_for("convert", {"format": "mp4", **wish}), media)
    steps = divided(plan, media, machine).steps
    return [step.runs[0].expected_duration for step in steps if step.kind == "segment"]


@pytest.mark.parametrize(("seconds", "count"), [(25, 2), (50, 4), (60, 6), (150, 8), (600, 30)])
def test_each_core_gets_as_many_segments_and_none_too_short(seconds: float, count: int) -> None:
    lengths = segments_of(video_of(seconds), TWO_CORES, quality="medium")
    assert len(lengths) == count
    assert all(9 <= length <= 30 for length in lengths)


@pytest.mark.parametrize("seconds", [2, 10, 15])
def test_short_clips_stay_whole(seconds: float) -> None:
    assert segments_of(video_of(seconds), TWO_CORES, quality="medium") == []


def test_little_work_stays_whole() -> None:
    assert segments_of(video_of(60, height=144), TWO_CORES, quality="medium") == []


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_encoders_that_use_two_cores_well_stay_whole_until_survival_matters(codec: str) -> None:
    assert segments_of(video_of(60), TWO_CORES, video_codec=codec) == []
    assert len(segments_of(video_of(3600), TWO_CORES, video_codec=codec)) > 1


def test_one_place_divides_for_survival_alone() -> None:
    assert segments_of(video_of(60), ONE_PLACE, quality="medium") == []
    lengths = segments_of(video_of(1200), ONE_PLACE, quality="medium")
    assert len(lengths) == 60


def test_more_cores_get_more_segments_and_none_too_short() -> None:
    lengths = segments_of(video_of(60), Machine(cores=16, slots=16), quality="medium")
    assert len(lengths) == 6
    assert min(lengths) >= 8


def test_key_frames_far_apart_do_not_make_it_slower() -> None:
    """With one cut near the end, one core would do nearly all of the work."""
    assert segments_of(video_of(60, every=50), TWO_CORES, quality="medium") == []


def test_the_longest_video_has_a_bounded_number_of_steps() -> None:
    assert len(segments_of(video_of(4 * 3600, every=8), TWO_CORES, quality="medium")) <= 240


@pytest.mark.parametrize(
    ("type_", "wish"),
    [
        ("convert", {"format": "avi"}),
        ("convert", {"format": "mkv"}),
        ("convert", {"format": "mp4", "video_codec": "hevc"}),
        ("speed", {"factor": 2}),
        ("trim", {"start": 5}),
        ("gif", {}),
        ("thumbnail", {}),
    ],
)
def test_what_cannot_be_cut_stays_whole(type_: str, wish: dict[str, object]) -> None:
    """Even rates, copies, changed times, parts of a video, pictures; and sources without an index."""
    media = video_of(60)
    if wish.get("video_codec"):
        (stream,) = media.video
        media = media.model_copy(update={"video": (stream.model_copy(update={"key_frames": None}),)})
    plan = plan_for(type_, parameters_for(type_, wish), media)
    assert divided(plan, media, TWO_CORES, seconds=5) == plan
