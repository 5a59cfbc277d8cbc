"""Exact cuts at the speed of a copy: only what lies between a cut and the next key frame is encoded.

Every range becomes up to three pieces, all MPEG-TS with one clock, so that they can be read as one file::

    start ..... first key frame ............ last key frame ..... end
      |  encoded  |           copied               |  encoded  |

The pieces keep the times of the source, moved by one amount for the whole range: picture and sound stay
together to the tick, and the end of a piece is the beginning of the next by their very times. Encoded pieces
carry parameter sets of another number than those of the source, and the header of the result gets both.

Whether a source's key frames really stand alone shows only in the result. So its plan goes with the plan of a
full encode, which is taken where the joined file does not pass its verification.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from engine.codecs import label_of
from engine.containers import Container
from engine.ranges import Range
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.recipes import FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar

CONTAINERS = frozenset({"mp4", "mov", "mkv"})

# Times of key frames are known to the millisecond; no two frames are nearer to each other than this.
BEFORE = 0.0015
# Times of storing are earlier than times of showing and must not fall below 0.
LEAD = 20.0
_MOST_DELAY = 2
_PARAMETER_SETS = 31  # sources number theirs from 0
_WORTH_IT = 0.25
_OVERLAP = 1.0
# Samples in a packet of sound that can be cut between packets.
PACKETS = {"aac": 1024, "mp3": 1152, "ac3": 1536, "eac3": 1536, "opus": 960}
CLOCK: dict[str, Scalar] = {"muxdelay": 0, "muxpreload": 0, "mpegts_flags": "+initial_discontinuity"}
_JOINED, _SETS = "joined.mp4", "sets.h264"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the source that is either copied or encoded as a whole."""

    begin: float
    end: float
    copied: bool

    @property
    def length(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Cut:
    """How ranges of a video are cut. `shifts` move each range's times to its place in the result."""

    stream: VideoStream
    ranges: tuple[Range, ...]
    pieces: tuple[tuple[Piece, ...], ...]
    shifts: tuple[float, ...]

    @property
    def copied(self) -> float:
        """Seconds that are copied."""
        return sum(piece.length for group in self.pieces for piece in group if piece.copied)

    @property
    def encoded(self) -> float:
        """Seconds that are encoded."""
        return sum(piece.length for group in self.pieces for piece in group if not piece.copied)


def obstacle(media: MediaInfo, stream: VideoStream, container: Container) -> str | None:
    """Why this picture cannot be cut without encoding all of it; None when it can."""
    reasons = (
        (
            container.name != media.container or media.container not in CONTAINERS,
            "its file has no exact index",
        ),
        (stream.codec != "h264", f"{label_of(stream.codec)} cannot be cut inside of its groups of frames"),
        (stream.pixel_format != "yuv420p", f"its pixels are {stream.pixel_format}"),
        (stream.interlaced, "it is interlaced"),
        (stream.preroll, "it begins with frames that are to stay hidden"),
        (stream.delay > _MOST_DELAY, "its frames are stored too far from where they are shown"),
        (not stream.key_frames, "the frames that stand on their own are not known"),
    )
    return next((why for applies, why in reasons if applies), None)


def cut(media: MediaInfo, stream: VideoStream, ranges: Sequence[Range]) -> Cut | None:
    """The pieces, or None where so little could be copied that one encode of all is better."""
    shown_until = stream.start_time + (stream.duration or media.duration)
    pieces = tuple(tuple(_pieces(part, stream.key_frames or (), shown_until)) for part in ranges)
    shifts = []
    done = 0.0
    for part in ranges:
        shifts.append(done - part.start)
        done += part.length
    made = Cut(stream=stream, ranges=tuple(ranges), pieces=pieces, shifts=tuple(shifts))
    return made if made.copied >= _WORTH_IT * done else None


def _pieces(part: Range, moments: Sequence[float], shown_until: float) -> list[Piece]:
    first = bisect_left(moments, part.start - BEFORE)
    last = bisect_right(moments, part.end + BEFORE) - 1
    begin = moments[first] if first < len(moments) else part.end
    to_the_end = part.end >= shown_until - BEFORE
    end = part.end if to_the_end else moments[last] if last >= 0 else part.start
    if begin >= end - BEFORE:
        return [Piece(part.start, part.end, copied=False)]
    pieces = [Piece(part.start, begin, copied=False), Piece(begin, end, copied=True)]
    pieces.append(Piece(end, part.end, copied=False))
    return [piece for piece in pieces if piece.length > BEFORE]


def seams(plan: Cut) -> tuple[float, ...]:
    """When, in seconds of the result, a piece follows another."""
    begins = [
        piece.begin + shift for group, shift in zip(plan.pieces, plan.shifts, strict=True) for piece in group
    ]
    return tuple(round(begin, 3) for begin in begins[1:])


def runs(
    media: MediaInfo, plan: Cut, container: Container, others: Sequence[StreamRecipe], *, chapters: bool
) -> tuple[Run, ...]:
    """The runs that make the file: pieces, a join of them, and the finished file.

    `others` are the other streams of the result, read from the source as `Run.source_times` has them: moved
    to where the first range stands, and not cut by anything but themselves.
    """
    pieces = [
        (piece, shift) for group, shift in zip(plan.pieces, plan.shifts, strict=True) for piece in group
    ]
    names = [f"piece-{number}.ts" for number in range(len(pieces))]
    made = [
        _piece_run(media, plan.stream, name, piece, shift)
        for name, (piece, shift) in zip(names, pieces, strict=True)
    ]
    length = sum(part.length for part in plan.ranges)
    copy = StreamRecipe(
        kind="video", source_index=0, action="copy", language=plan.stream.language, default=True
    )
    # The header gets the parameter sets of the first piece by itself; one made the other way has the rest.
    strange = [
        name for name, (piece, _) in zip(names, pieces, strict=True) if piece.copied != pieces[0][0].copied
    ]
    if strange:
        raw = FileRecipe(part=_SETS, muxer="h264", streams=(copy,), frames=1)
        made.append(Run(inputs=(Input(parts=(strange[0],)),), expected_duration=0.1, files=(raw,)))
    joined = FileRecipe(part=_JOINED, muxer="mp4", streams=(copy,), parameter_sets=_SETS if strange else None)
    clock = Input(parts=tuple(names), one_clock=True, shift=-LEAD)
    made.append(Run(inputs=(clock,), source_times=True, expected_duration=length / 20, files=(joined,)))
    finished = FileRecipe(
        role="video",
        muxer=container.muxer,
        streams=(copy, *(stream.model_copy(update={"input": 1}) for stream in others)),
        options=dict(container.muxer_options),
        chapters=chapters,
        chapters_input=1,
    )
    inputs = [Input(parts=(_JOINED,), rotation=plan.stream.rotation)]
    if others or chapters:
        start = max(0.0, plan.ranges[0].start - _OVERLAP)
        inputs.append(
            Input(
                start=start,
                length=plan.ranges[-1].end - start + _OVERLAP,
                from_key_frame=True,
                shift=plan.shifts[0] - media.start_time,
            )
        )
    made.append(
        Run(inputs=tuple(inputs), source_times=True, expected_duration=length / 20, files=(finished,))
    )
    return tuple(made)


def _piece_run(media: MediaInfo, stream: VideoStream, name: str, piece: Piece, shift: float) -> Run:
    recipe = _copied(stream, piece) if piece.copied else _encoded(stream, piece)
    return Run(
        inputs=(
            Input(
                start=piece.begin,
                length=piece.length + _OVERLAP,
                from_key_frame=True,
                shift=-media.start_time,
                as_stored=True,
            ),
        ),
        source_times=True,
        expected_duration=piece.length / 20 if piece.copied else piece.length,
        files=(
            FileRecipe(
                part=name,
                muxer="mpegts",
                streams=(recipe,),
                options={**CLOCK, "output_ts_offset": f"{LEAD + shift:.3f}"},
            ),
        ),
    )


def outside(begin: float, end: float) -> str:
    """The bitstream filter that drops every packet shown outside of these seconds."""
    return f"noise=drop=lt(pts*tb\\,{begin:.4f})+gte(pts*tb\\,{end:.4f})"


def packet_seconds(track: AudioStream) -> float:
    """How long one packet of a track with PACKETS is."""
    return PACKETS[track.codec] / (track.sample_rate or 48_000)


def _copied(stream: VideoStream, piece: Piece) -> StreamRecipe:
    window = outside(piece.begin - BEFORE, piece.end - BEFORE)
    return StreamRecipe(kind="video", source_index=stream.index, action="copy", options={"bsf": window})


def _encoded(stream: VideoStream, piece: Piece) -> StreamRecipe:
    """Better than what it was made of, fast: these are seconds. Stored as far from its time as the copied."""
    order = {0: "bframes=0", 1: "bframes=2:b-pyramid=none"}.get(stream.delay, "bframes=3:b-pyramid=normal")
    window: dict[str, Scalar] = {
        "start": f"{piece.begin - BEFORE:.4f}",
        "end": f"{piece.end - BEFORE:.4f}",
    }
    return StreamRecipe(
        kind="video",
        source_index=stream.index,
        action="encode",
        encoder="libx264",
        options={
            "preset": "veryfast",
            "crf": 17,
            "fps_mode": "passthrough",
            "enc_time_base": "demux",
            "x264-params": f"sps-id={_PARAMETER_SETS}:{order}",
        },
        filters=(Filter(name="trim", options=window), Filter(name="format", options={"pix_fmts": "yuv420p"})),
    )
