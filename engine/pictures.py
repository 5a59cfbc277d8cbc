"""Rules of pictures: sizes that fit, and the filter chain from a source stream to encodable frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from engine.types.media import VideoStream
from engine.types.recipes import Filter
from engine.types.value import Scalar

_RATE_SLACK = 0.01
_PAPER_WHITE = {"smpte2084": 0.58, "arib-std-b67": 0.75}  # shares of full signal
_BLUR_SHRINK = 4


class Fit(StrEnum):
    """How a picture meets a box of another shape."""

    CONTAIN = "contain"
    COVER = "cover"
    STRETCH = "stretch"
    PAD = "pad"


@dataclass(frozen=True, slots=True)
class Geometry:
    """A picture scaled to `scaled` and then cut to `size`, around its middle or from the corner `offset`."""

    scaled: tuple[int, int]
    size: tuple[int, int]
    offset: tuple[int, int] | None = None


def even(value: float) -> int:
    """The nearest even number from 2 up: 4:2:0 pictures have no odd sides."""
    return max(2, round(value / 2) * 2)


def fitted(
    stream: VideoStream, *, width: int | None, height: int | None, fit: Fit, upscale: bool
) -> Geometry:
    """The geometry that brings the picture, as displayed, into the box. A missing side follows the shape."""
    across, down = stream.display_width, stream.display_height
    if width is None or height is None:
        scale = (width / across) if width is not None else ((height or down) / down)
        scale = scale if upscale else min(scale, 1.0)
        return _plain(across * scale, down * scale)
    if fit is Fit.STRETCH:
        return _plain(*((width, height) if upscale else (min(width, across), min(height, down))))
    if fit in (Fit.CONTAIN, Fit.PAD):
        scale = min(width / across, height / down)
        scale = scale if upscale else min(scale, 1.0)
        return _plain(across * scale, down * scale)
    # Cover without enlarging keeps the shape of the box and makes the box smaller.
    shrink = 1.0 if upscale else min(1.0, across / width, down / height)
    box = (even(width * shrink), even(height * shrink))
    scale = max(box[0] / across, box[1] / down)
    scaled = (max(box[0], even(across * scale)), max(box[1], even(down * scale)))
    return Geometry(scaled=scaled, size=box)


def box_around(stream: VideoStream, width: int, height: int, *, upscale: bool) -> tuple[int, int]:
    """The box to pad to. Without enlarging it keeps its shape and is no larger than the picture needs."""
    scale = min(width / stream.display_width, height / stream.display_height)
    shrink = 1.0 if upscale else max(1.0, scale)
    return even(width / shrink), even(height / shrink)


def padded(inner: tuple[int, int], box: tuple[int, int], colour: str | None) -> tuple[Filter, ...]:
    """The picture in the middle of a box, with a colour around it; None is the picture itself, blurred."""
    # Colours are stored for pairs of pixels, so the place has to be even.
    x, y = ((outside - inside) // 4 * 2 for outside, inside in zip(box, inner, strict=True))
    if colour is not None:
        return (
            Filter(
                name="pad",
                options={"w": box[0], "h": box[1], "x": x, "y": y, "color": colour.replace("#", "0x")},
            ),
        )
    # A blurred picture needs few pixels: it is drawn at a quarter of the size and then enlarged.
    scale = max(box[0] / inner[0], box[1] / inner[1]) / _BLUR_SHRINK
    small = even(box[0] / _BLUR_SHRINK), even(box[1] / _BLUR_SHRINK)
    covering = (max(small[0], even(inner[0] * scale)), max(small[1], even(inner[1] * scale)))
    return (
        Filter(name="split", gives=("front", "back")),
        Filter(name="scale", options={"w": covering[0], "h": covering[1]}, takes=("back",)),
        Filter(name="crop", options={"w": small[0], "h": small[1]}),
        Filter(name="gblur", options={"sigma": round(max(small) / 40, 2)}),
        Filter(name="scale", options={"w": box[0], "h": box[1], "flags": "bicubic"}, gives=("behind",)),
        Filter(name="overlay", options={"x": x, "y": y, "format": "auto"}, takes=("behind", "front")),
        Filter(name="setsar", options={"sar": 1}),
    )


def _plain(width: float, height: float) -> Geometry:
    size = (even(width), even(height))
    return Geometry(scaled=size, size=size)


def natural(stream: VideoStream) -> Geometry:
    """The size as displayed, made even."""
    return _plain(stream.display_width, stream.display_height)


def encodable(
    stream: VideoStream, geometry: Geometry, *, pixel_format: str = "yuv420p", keep_hdr: bool = False
) -> tuple[Filter, ...]:
    """The chain that turns decoded (and, by ffmpeg itself, rotated) frames into frames of `geometry`.

    Fields are woven into frames first, size comes before tone mapping because that is dear per pixel.
    `keep_hdr` leaves high dynamic range as it is, for a codec and a pixel format that can carry it.
    """
    chain: list[Filter] = []
    if stream.interlaced:
        chain.append(Filter(name="bwdif", options={"mode": "send_frame", "deint": "interlaced"}))
    displayed = (stream.display_width, stream.display_height)
    if geometry.scaled != displayed or stream.sample_aspect != (1, 1):
        chain.append(
            Filter(
                name="scale", options={"w": geometry.scaled[0], "h": geometry.scaled[1], "flags": "bicubic"}
            )
        )
    if geometry.size != geometry.scaled:
        cut: dict[str, Scalar] = {"w": geometry.size[0], "h": geometry.size[1]}
        if geometry.offset is not None:
            cut |= {"x": geometry.offset[0], "y": geometry.offset[1]}
        chain.append(Filter(name="crop", options=cut))
    if stream.hdr and not keep_hdr:
        # Half a colour sample is more than zscale can take: odd sides pass it with colours in full size.
        odd = geometry.size[0] % 2 or geometry.size[1] % 2
        before = [Filter(name="format", options={"pix_fmts": "yuv444p10le"})] if odd else []
        after = [Filter(name="format", options={"pix_fmts": "yuv444p"})] if odd else []
        chain += [*before, *_tone_mapping(stream), *after]
    chain.append(Filter(name="setsar", options={"sar": 1}))
    chain.append(Filter(name="format", options={"pix_fmts": pixel_format}))
    return tuple(chain)


def _tone_mapping(stream: VideoStream) -> list[Filter]:
    """From PQ or HLG light to the standard range, or the picture looks grey on ordinary screens."""
    return [
        Filter(
            name="zscale",
            options={
                "tin": str(stream.color_transfer),
                "pin": stream.color_primaries or "bt2020",
                "min": stream.color_space or "bt2020nc",
                "t": "linear",
                "npl": 100,
            },
        ),
        Filter(name="format", options={"pix_fmts": "gbrpf32le"}),
        Filter(name="zscale", options={"p": "bt709"}),
        Filter(name="tonemap", options={"tonemap": "hable", "desat": 0}),
        Filter(name="zscale", options={"t": "bt709", "m": "bt709", "r": "tv"}),
    ]


def capped_rate(stream: VideoStream, most: float | None) -> float | None:
    """The rate to bring the picture down to; None where it is not above `most`.

    A rate that is not known, or that is told wrong by a hair, is left alone only where it is surely lower.
    """
    if most is None or (stream.frame_rate is not None and stream.frame_rate <= most + _RATE_SLACK):
        return None
    return most


def paper_white(stream: VideoStream, pixel_format: str) -> float:
    """How bright white paper is in a picture, of 1: what is drawn whiter glares in high dynamic range."""
    return _PAPER_WHITE.get(stream.color_transfer or "", 1.0) if pixel_format.endswith("10le") else 1.0


def fewer_frames(rate: float, *, from_start: bool = False) -> Filter:
    """At most so many frames a second. Rounded up, each is the frame of its moment, not a later one.

    `from_start` has one at 0 in any case, also in a part that is shorter than the time between two.
    """
    start: dict[str, Scalar] = {"start_time": 0} if from_start else {}
    return Filter(name="fps", options={"fps": frame_rate_text(rate), "round": "up", **start})


def frame_rate_text(rate: float) -> str:
    """A rate as the fraction broadcasters mean: 29.97003 is 30000/1001."""
    fraction = Fraction(rate).limit_denominator(1001)
    return f"{fraction.numerator}/{fraction.denominator}"
