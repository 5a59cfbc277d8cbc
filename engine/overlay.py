"""A still picture laid over a moving one.

The picture is read by a source inside the filter graph, from a link in the working directory with a name of
ours, by the one demuxer for PNG: it is a file this engine wrote itself.
"""

from __future__ import annotations

from dataclasses import replace

from engine.plan import Part
from engine.types.media import VideoStream
from engine.types.recipes import Filter
from engine.types.value import Scalar

_HIGH_DEFINITION = 720
# By the pixels of the video: those of a picture with alpha, and what the filter calls the pair.
_WITH_ALPHA = {"yuv420p": ("yuva420p", "yuv420"), "yuv420p10le": ("yuva420p10le", "yuv420p10")}
_MATRICES = {
    "bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470", "fcc": "fcc", "smpte240m": "smpte240m",
    "bt2020nc": "bt2020", "bt2020c": "bt2020",
}  # fmt: skip


def with_picture(
    part: Part,
    stream: VideoStream,
    *,
    file: str,
    size: tuple[int, int],
    at: tuple[int, int],
    opacity: float,
    brightness: float = 1.0,
    enable: str | None = None,
) -> Part:
    """The encoded `part` with the PNG `file` over it, `size` large, its corner `at` these pixels.

    `opacity` and `brightness` are from 0 to 1. `enable` is the expression of when it is seen.
    """
    *before, last = part.recipe.filters
    pixels = str(last.options["pix_fmts"])
    alpha, pair = _WITH_ALPHA[pixels]
    mixing: dict[str, Scalar] = {"aa": round(opacity, 3)}
    if brightness < 1:
        mixing |= dict.fromkeys(("rr", "gg", "bb"), brightness)
    laying: dict[str, Scalar] = {"x": at[0], "y": at[1], "format": pair}
    if enable is not None:
        laying["enable"] = enable
    matrix = {"out_color_matrix": _matrix(stream), "out_range": "pc" if stream.color_range == "pc" else "tv"}
    graph = (
        *before,
        last.model_copy(update={"gives": ("under",)}),
        Filter(name="movie", options={"filename": file, "format_name": "png_pipe"}),
        Filter(name="format", options={"pix_fmts": "rgba"}),
        Filter(name="colorchannelmixer", options=mixing),
        Filter(name="scale", options={"w": size[0], "h": size[1], "flags": "bicubic", **matrix}),
        Filter(name="format", options={"pix_fmts": alpha}, gives=("over",)),
        Filter(name="overlay", options=laying, takes=("under", "over")),
        Filter(name="format", options={"pix_fmts": pixels}),
    )
    return replace(part, recipe=part.recipe.model_copy(update={"filters": graph}))


def _matrix(stream: VideoStream) -> str:
    """How the video's colours are coded; where it does not say, what players take for granted."""
    if stream.hdr:
        return "bt2020"
    usual = "bt709" if min(stream.width, stream.height) >= _HIGH_DEFINITION else "smpte170m"
    return _MATRICES.get(stream.color_space or "", usual)
