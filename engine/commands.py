"""From a run to argv. Pure: the same run gives the same words.

No value here comes from a user as text except languages and titles, which the probe cleaned and which always
follow their own option; names of files are ours. Filter values are escaped all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

from engine.binaries import ffmpeg_path
from engine.types.limits import Limits
from engine.types.plan import Plan
from engine.types.recipes import FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar
from engine.whitelist import ONE_CLOCK, PARTS, RESULTS, SAMPLES, UPLOADS, WORDS, Reading

# A key frame leaves its time behind; what follows is dropped unless it is shown before that.
_ONLY_KEYS_AND_EARLIER = "noise=drop=if(key\\,st(0\\,pts)*0\\,gte(pts\\,ld(0)))"
# Frames that come unevenly keep their times; rounded to the usual rate two may get the same, an error.
_AS_IT_COMES = ("-fps_mode:v", "passthrough", "-enc_time_base:v", "demux")
_SILENCE = ("-protocol_whitelist", "", "-f", "lavfi")
# Subtitles as plain as their kind allows: SRT without tags.
WORDS_ENCODERS = {"srt": "text", "ass": "ass"}
_SPECIFIERS = {"video": "v", "audio": "a", "subtitle": "s"}


def encode_argv(
    plan: Plan, run: Run, *, sources: Mapping[str, Path], work_dir: Path, limits: Limits
) -> list[str]:
    """The ffmpeg command for one run, progress on stdout. Lists of parts are at `list_name` in `work_dir`."""
    argv = [
        *_start("info"),
        "-stats_period", "0.25", "-progress", "pipe:1",
        "-filter_threads", str(limits.threads),
        *(["-copyts"] if run.source_times or any(item.zero is not None for item in run.inputs) else []),
    ]  # fmt: skip
    for position, item in enumerate(run.inputs):
        if item.silence is not None:
            argv += [*_SILENCE, "-t", f"{item.silence:.3f}", "-i", "anullsrc=r=48000:cl=stereo"]
            continue
        argv += ["-noaccurate_seek"] if item.from_key_frame else []
        argv += ["-noautorotate"] if item.as_stored else []
        # ffmpeg counts against the clock.
        argv += ["-display_rotation:v:0", str(-item.rotation)] if item.rotation else []
        shift = item.shift - (item.zero or 0.0)
        argv += ["-itsoffset", f"{shift:.6f}"] if shift else []
        # The parameter sets of all parts are the same, which `joining` checks: none need be put in between.
        argv += ["-auto_convert", "0"] if item.cuts else []
        url, reading = _opened(item, position, sources, work_dir)
        argv += _input(url, reading, limits, start=item.start, length=item.length)
    for recipe in run.files:
        argv += _output(recipe, work_dir / plan.file_name(recipe), limits)
    return argv


def list_name(position: int) -> str:
    """The name of the list of parts that the input at this position reads one after the other."""
    return f"input-{position}.ffconcat"


def parts_list(item: Input, starts: Sequence[float] = ()) -> str:
    """The list itself, in ffmpeg's concat format. The names are ours and have nothing to escape.

    With `starts`, the first moment of each part, the parts lie as far apart as those do; otherwise each
    begins where the one before it says it ends.
    """
    lengths = [after - before for before, after in pairwise(starts)]
    lines = ["ffconcat version 1.0"]
    for name, length in zip_longest(item.parts, lengths):
        lines += [f"file {name}", *([] if length is None else [f"duration {length:.6f}"])]
    return "".join(f"{line}\n" for line in lines)


def _opened(item: Input, position: int, sources: Mapping[str, Path], work_dir: Path) -> tuple[str, Reading]:
    if item.words is not None:
        return _url(work_dir / item.words), WORDS["srt"]
    if not item.parts:
        return _url(sources[item.source]), UPLOADS
    if item.one_clock:
        return "concat:" + "|".join(_url(work_dir / name) for name in item.parts), ONE_CLOCK
    if len(item.parts) == 1:
        return _url(work_dir / item.parts[0]), RESULTS
    return _url(work_dir / list_name(position)), PARTS


def _url(path: Path) -> str:
    return f"file:{path.absolute()}"


def decode_argv(
    path: Path,
    *,
    reading: Reading,
    limits: Limits,
    start: float | None = None,
    length: float | None = None,
) -> list[str]:
    """A command that decodes pictures and sound of (a part of) a file and throws them away.

    stdout gets one line for each frame after a header that names each stream's size (`framecrc`).
    """
    return [
        *_start("error"),
        *_input(_url(path), reading, limits, start=start, length=length),
        "-map", "0:v?", "-map", "0:a?", *_AS_IT_COMES, "-threads", str(limits.threads),
        "-f", "framecrc", "pipe:1",
    ]  # fmt: skip


def measure_argv(
    path: Path, *, reading: Reading, limits: Limits, decoding: bool = False, stream: int | None = None
) -> list[str]:
    """A command that reads every packet, or decodes it; its progress ends at the true length and count.

    Decoding leaves out the smoothing of block edges: a third of the work, in which nothing can go wrong. With
    a `stream` it is about that one alone.
    """
    maps = ["-map", "0:v?", "-map", "0:a?"] if stream is None else ["-map", f"0:{stream}"]
    return [
        *_start("error"),
        "-stats_period", "0.25", "-progress", "pipe:1",
        *(["-skip_loop_filter", "all"] if decoding else []),
        *_input(_url(path), reading, limits),
        *maps, *(_AS_IT_COMES if decoding else ["-c", "copy"]),
        "-threads", str(limits.threads), "-f", "null", "-",
    ]  # fmt: skip


def glance_argv(
    path: Path,
    at: float,
    length: float,
    *,
    picture: str | None,
    sound: str | None,
    layout: str | None,
    keys_only: bool,
    size: tuple[int, int],
    reading: Reading,
    limits: Limits,
) -> list[str]:
    """A command that looks at a file from `at` on: stdout gets small grey pictures, the log their times and
    how loud the sound gets. `picture` and `sound` select streams.

    With `keys_only` the picture is the key frame at or before `at`, which costs the decoding of one frame;
    otherwise the pictures are all of the stretch.
    """
    argv = _start("info")
    outputs: list[str] = []
    if picture is not None:
        cheap = ["-skip_frame", "nokey", "-noaccurate_seek"] if keys_only else []
        argv += [*cheap, *_input(_url(path), reading, limits, start=at, length=length)]
        small = f"scale=w={size[0]}:h={size[1]}:flags=area,format=gray,showinfo=checksum=0"
        outputs += ["-map", f"0:{picture}", "-filter:v", small, "-fps_mode", "passthrough"]
        outputs += [*(["-frames:v", "1"] if keys_only else []), "-f", "rawvideo", "pipe:1"]
    if sound is not None:
        # Opened once more: without an exact search the length would count from the key frame.
        position = 0 if picture is None else 1
        argv += _input(_url(path), reading, limits, start=at, length=length)
        chain = f"aformat=channel_layouts={layout or 'stereo'},volumedetect"
        outputs += ["-map", f"{position}:{sound}", "-filter:a", chain, "-f", "null", "-"]
    return argv + outputs


def decode_pictures_argv(
    path: Path, *, reading: Reading, limits: Limits, start: float, length: float
) -> list[str]:
    """A command that decodes the pictures of a part of a file; its progress ends at the number of frames.

    The smoothing of block edges is left out: a third of the work, in which nothing can go wrong.
    """
    return [
        *_start("error"),
        "-stats_period", "0.25", "-progress", "pipe:1",
        "-skip_loop_filter", "all",
        *_input(_url(path), reading, limits, start=start, length=length),
        "-map", "0:v:0", *_AS_IT_COMES, "-f", "null", "-",
    ]  # fmt: skip


def listen_argv(
    path: Path, selector: str, filters: Iterable[Filter], *, reading: Reading, limits: Limits
) -> list[str]:
    """A command that sends one sound track through filters which only tell what they find."""
    return [
        *_start("info"),
        "-stats_period", "0.25", "-progress", "pipe:1",
        *_input(_url(path), reading, limits),
        "-map", f"0:{selector}", "-filter:a", filter_chain(filters), "-f", "null", "-",
    ]  # fmt: skip


def look_argv(
    path: Path,
    stream: int,
    filters: Iterable[Filter],
    *,
    reading: Reading,
    limits: Limits,
    start: float,
    length: float,
) -> list[str]:
    """A command that sends a part of a picture stream through filters which only tell what they find."""
    return [
        *_start("info"),
        "-stats_period", "0.25", "-progress", "pipe:1",
        *_input(_url(path), reading, limits, start=start, length=length),
        "-map", f"0:{stream}", "-filter:v", filter_chain(filters), "-f", "null", "-",
    ]  # fmt: skip


def samples_argv(
    path: Path,
    recipe: StreamRecipe,
    starts: Iterable[float],
    length: float,
    target: Path,
    *,
    reading: Reading,
    limits: Limits,
) -> list[str]:
    """A command that keeps parts of a picture stream, filtered as the recipe says, without loss."""
    argv = [*_start("info"), "-stats_period", "0.25", "-progress", "pipe:1"]
    chains, joined = [], ""
    for number, start in enumerate(starts):
        argv += _input(_url(path), reading, limits, start=start, length=length)
        chains.append(f"[{number}:{recipe.source_index}]{filter_chain(recipe.filters)}[part{number}]")
        joined += f"[part{number}]"
    graph = ";".join([*chains, f"{joined}concat=n={len(chains)}[all]"])
    return [
        *argv, "-filter_complex", graph, "-map", "[all]", "-c:v", "ffv1", "-slices", "4",
        "-threads", str(limits.threads), "-f", "matroska", _url(target),
    ]  # fmt: skip


def trial_argv(sample: Path, recipe: StreamRecipe, target: Path, *, limits: Limits) -> list[str]:
    """A command that encodes samples as the recipe says, but for filters, which they went through."""
    plain = recipe.model_copy(update={"filters": (), "source_index": 0, "input": 0})
    options = {name: value for name, value in plain.options.items() if name != "tag"}
    return [
        *_start("info"), "-stats_period", "0.25", "-progress", "pipe:1",
        *_input(_url(sample), SAMPLES, limits), "-map", "0:0",
        *_stream(plain.model_copy(update={"options": options}), "v:0", limits),
        "-threads", str(limits.threads), "-f", "matroska", _url(target),
    ]  # fmt: skip


def vmaf_argv(trial: Path, sample: Path, *, limits: Limits) -> list[str]:
    """A command that tells how like its sample a trial looks, as VMAF."""
    return [
        *_start("info"), "-stats_period", "0.25", "-progress", "pipe:1",
        *_input(_url(trial), SAMPLES, limits), *_input(_url(sample), SAMPLES, limits),
        "-filter_complex", f"[0:v][1:v]libvmaf=n_threads={limits.threads}", "-f", "null", "-",
    ]  # fmt: skip


def likeness_argv(
    result: Path,
    source: Path,
    picture: StreamRecipe,
    *,
    at: float,
    there: float,
    length: float,
    limits: Limits,
) -> list[str]:
    """A command that tells how like its source a part of a result looks, as VMAF.

    The result is looked at from `at` on, the source from `there` on, through the recipe's filters.
    """
    chain = filter_chain((*picture.filters, Filter(name="setpts", options={"expr": "PTS-STARTPTS"})))
    graph = f"[0:v:0]setpts=PTS-STARTPTS[made];[1:{picture.source_index}]{chain}[meant];"
    return [
        *_start("info"), "-stats_period", "0.25", "-progress", "pipe:1",
        *_input(_url(result), RESULTS, limits, start=at, length=length),
        *_input(_url(source), UPLOADS, limits, start=there, length=length),
        "-filter_complex", f"{graph}[made][meant]libvmaf=n_threads={limits.threads}:shortest=1",
        "-f", "null", "-",
    ]  # fmt: skip


def picture_argv(
    source: Path, target: Path, *, reading: Reading, limits: Limits, longest_side: int
) -> list[str]:
    """A command that makes a PNG with transparency of a picture, scaled down where it is too large."""
    inside: dict[str, Scalar] = {"w": f"min(iw,{longest_side})", "h": f"min(ih,{longest_side})"}
    filters = (
        Filter(name="scale", options={**inside, "force_original_aspect_ratio": "decrease"}),
        Filter(name="format", options={"pix_fmts": "rgba"}),
        # What a camera wrote beside the picture: place, owner, a smaller picture.
        Filter(name="sidedata", options={"mode": "delete"}),
    )
    return [
        *_start("error"),
        *_input(_url(source), reading, limits),
        "-map", "0:v:0", "-map_metadata", "-1", "-filter:v", filter_chain(filters), "-frames:v", "1",
        "-c:v", "png", "-threads", "1", "-f", "image2", "-update", "1", _url(target),
    ]  # fmt: skip


def words_argv(path: Path, kind: str, *, reading: Reading, limits: Limits) -> list[str]:
    """A command that writes the first track of a file of subtitles to stdout, as `srt` or `ass`."""
    return [
        *_start("error"),
        *_input(_url(path), reading, limits),
        "-map", "0:s:0", "-c:s", WORDS_ENCODERS[kind], "-f", kind, "pipe:1",
    ]  # fmt: skip


def key_frames_argv(source: Path, stream: int, *, limits: Limits) -> list[str]:
    """A command that names key frames of a stream without decoding, one line each (`framecrc`).

    After a key frame follow the frames, if any, that are stored after it and shown before it.
    """
    return [
        *_start("error"),
        # `-discard nokey` would read less, but mixes up the times of mp4 frames stored out of order.
        *_input(_url(source), UPLOADS, limits),
        "-map", f"0:{stream}", "-c", "copy", "-bsf:v", _ONLY_KEYS_AND_EARLIER,
        "-f", "framecrc", "pipe:1",
    ]  # fmt: skip


def generate_argv(
    graph: str, audio_graph: str | None, target: Path, *, seconds: float, threads: int
) -> list[str]:
    """A command that makes a clip out of nothing, for samples. The graphs are ours."""
    sound = ["-f", "lavfi", "-i", audio_graph] if audio_graph else []
    return [
        *_start("error"), "-progress", "pipe:1",
        "-f", "lavfi", "-i", graph, *sound, "-t", f"{seconds:.3f}",
        "-c:v", "libx264", "-preset", "ultrafast", "-crf", "25",
        *(["-c:a", "aac", "-b:a", "160k", "-shortest"] if audio_graph else []),
        "-threads", str(threads), "-movflags", "+faststart", "-f", "mp4", _url(target),
    ]  # fmt: skip


def _start(level: str) -> list[str]:
    return [str(ffmpeg_path()), "-nostdin", "-hide_banner", "-y", "-nostats", "-loglevel", f"level+{level}"]


def _input(
    url: str, reading: Reading, limits: Limits, *, start: float | None = None, length: float | None = None
) -> list[str]:
    argv = [*reading.arguments(limits), "-threads", str(limits.threads)]
    # A search for the very beginning can fail, and then ends behind the last frame: files without an index,
    # whose first frame is stored after the moment it is searched at.
    if start:
        argv += ["-ss", f"{start:.3f}"]
    # Nothing may run longer than the longest file allowed, whatever its timestamps say.
    argv += ["-t", f"{min(length or limits.max_duration, limits.max_duration):.3f}"]
    return [*argv, "-i", url]


def _output(recipe: FileRecipe, target: Path, limits: Limits) -> list[str]:
    argv: list[str] = []
    for stream in recipe.streams:
        argv += ["-map", f"{stream.input}:{stream.source_index}"]
    # Places, dates and devices in the source are nobody's business but its owner's.
    argv += ["-map_metadata:g", "-1", "-map_metadata:s", "-1"]
    argv += ["-map_chapters", str(recipe.chapters_input) if recipe.chapters else "-1"]
    counts: dict[str, int] = {}
    for stream in recipe.streams:
        position = counts.setdefault(stream.kind, 0)
        counts[stream.kind] += 1
        argv += _stream(stream, f"{_SPECIFIERS[stream.kind]}:{position}", limits)
    if recipe.frames is not None:
        argv += ["-frames:v", str(recipe.frames)]
    argv += _options(recipe.options)
    # Far apart streams are held back in memory until they meet; bound it as everything else.
    argv += ["-max_muxing_queue_size", "4096", "-threads", str(limits.threads)]
    return [*argv, "-f", recipe.muxer, _url(target)]


def _stream(stream: StreamRecipe, specifier: str, limits: Limits) -> list[str]:
    argv = [f"-c:{specifier}", "copy" if stream.action == "copy" else str(stream.encoder)]
    if stream.filters:
        argv += [f"-filter:{specifier}", filter_chain(stream.filters)]
    argv += _options({**stream.options, **_own_threads(stream.encoder, limits)}, specifier)
    if stream.language:
        argv += [f"-metadata:s:{specifier}", f"language={stream.language}"]
    if stream.title:
        argv += [f"-metadata:s:{specifier}", f"title={stream.title}"]
    marks = [name for name, on in (("default", stream.default), ("forced", stream.forced)) if on]
    return [*argv, f"-disposition:{specifier}", "+".join(marks) or "0"]


def _own_threads(encoder: str | None, limits: Limits) -> Mapping[str, Scalar]:
    """Encoders that take their number of threads in their own way, and all cores otherwise."""
    if encoder == "libx265":
        return {"x265-params": f"pools={limits.threads}:frame-threads=1:log-level=warning"}
    if encoder == "libsvtav1":
        return {"svtav1-params": f"lp={limits.threads}"}
    return {}


def _options(options: Mapping[str, Scalar], specifier: str | None = None) -> list[str]:
    suffix = f":{specifier}" if specifier else ""
    return [word for key, value in options.items() for word in (f"-{key}{suffix}", str(value))]


def filter_chain(filters: Iterable[Filter]) -> str:
    """A chain, or a graph with one end on each side, as ffmpeg reads it."""
    text = ""
    ended = False
    for item in filters:
        text += (";" if item.takes or ended else ",") if text else ""
        text += _filter(item)
        ended = bool(item.gives)
    return text


def _filter(item: Filter) -> str:
    options = ":".join(f"{key}={_escaped(str(value))}" for key, value in item.options.items())
    takes, gives = ("".join(f"[{link}]" for link in links) for links in (item.takes, item.gives))
    return takes + (f"{item.name}={options}" if options else item.name) + gives


def _escaped(value: str) -> str:
    """Escaped twice: once for the option's value, once for the graph around it."""
    inner = re.sub(r"([\\':])", r"\\\1", value)
    return re.sub(r"([\\'\[\],;])", r"\\\1", inner)
