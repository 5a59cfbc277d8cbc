"""Several ranges of one video, one after the other: which they are, and the filters that join them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ranges import Range
from engine.types.media import MediaInfo
from engine.types.recipes import Filter

# Nearer cuts than this leave nothing that could be seen.
_SHORTEST = 0.04


def merged(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """The ranges in order of time; those that meet or overlap become one."""
    found: list[Range] = []
    for part in sorted(ranges, key=lambda item: item.start):
        if found and part.start <= found[-1].end + _SHORTEST:
            found[-1] = Range(found[-1].start, max(found[-1].end, part.end))
        else:
            found.append(part)
    return tuple(found)


def left_by(ranges: Sequence[Range], media: MediaInfo) -> tuple[Range, ...]:
    """What is left of a video when these ranges are taken out; empty when nothing is."""
    kept = []
    begin = 0.0
    for part in merged(ranges):
        if part.start - begin >= _SHORTEST:
            kept.append(Range(begin, part.start))
        begin = part.end
    if media.duration - begin >= _SHORTEST:
        kept.append(Range(begin, round(media.duration, 3)))
    return tuple(kept)


def moved_by(ranges: Sequence[Range], seconds: float) -> tuple[Range, ...]:
    """The same ranges at later times."""
    return tuple(Range(round(part.start + seconds, 4), round(part.end + seconds, 4)) for part in ranges)


def picture_filters(ranges: Sequence[Range], *, early: float) -> tuple[Filter, ...]:
    """Frames of the ranges only, each range moved to the end of the one before. Times as in the source.

    `early` is how much before its start a frame may be and still count, in seconds: half of a rounding.
    """
    inside = "+".join(f"gte(t,{part.start - early:.4f})*lt(t,{part.end - early:.4f})" for part in ranges)
    moves = []
    done = 0.0
    for part in ranges:
        moves.append(f"{part.start - done:.4f}*gte(T,{part.start - early:.4f})*lt(T,{part.end - early:.4f})")
        done += part.length
    return (
        Filter(name="select", options={"expr": inside}),
        Filter(name="setpts", options={"expr": f"PTS-({'+'.join(moves)})/TB"}),
    )


def sound_filters(ranges: Sequence[Range]) -> tuple[Filter, ...]:
    """The sound of the ranges, to the sample, silent where a track has nothing. Times as in the source."""
    if len(ranges) == 1:
        return _stretch(ranges[0], (), ())
    count = len(ranges)
    graph = [
        # A branch that gets no sound at all breaks those that follow: silence where the track has nothing.
        Filter(name="aresample", options={"async": 1, "first_pts": 0}),
        Filter(name="apad", options={"whole_dur": f"{ranges[-1].end:.4f}"}),
        Filter(name="asplit", options={"outputs": count}, gives=tuple(f"a{n}" for n in range(count))),
    ]
    for number, part in enumerate(ranges):
        graph += _stretch(part, (f"a{number}",), (f"b{number}",))
    ends = tuple(f"b{number}" for number in range(count))
    return (*graph, Filter(name="concat", options={"n": count, "v": 0, "a": 1}, takes=ends))


def _stretch(part: Range, takes: tuple[str, ...], gives: tuple[str, ...]) -> tuple[Filter, ...]:
    window = {"start": f"{part.start:.4f}", "end": f"{part.end:.4f}"}
    return (
        Filter(name="atrim", options=dict(window), takes=takes),
        Filter(name="asetpts", options={"expr": f"PTS-{part.start:.4f}/TB"}),
        Filter(name="aresample", options={"async": 1, "first_pts": 0}),
        Filter(name="apad", options={"whole_dur": f"{part.length:.4f}"}),
        Filter(name="atrim", options={"end": f"{part.length:.4f}"}, gives=gives),
    )
