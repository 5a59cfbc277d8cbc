"""Still pictures out of a video: for the thumbnail operation and for the picture made at every intake."""

from __future__ import annotations

from engine.assembly import output_plan
from engine.containers import PICTURE_CONTAINERS
from engine.pictures import Geometry, encodable
from engine.tracks import dropped_sound, dropped_subtitle, leftovers
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Expectation, ExpectedStream, OutputPlan, StreamDecision
from engine.types.recipes import FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar

ENCODERS: dict[str, tuple[str, str, dict[str, Scalar]]] = {
    # container: encoder, pixel format, options. JPEG is full range by its standard.
    "jpg": ("mjpeg", "yuvj420p", {"q": 3}),
    "png": ("png", "rgb24", {}),
    "webp": ("libwebp", "yuv420p", {"quality": 85}),
}
_CHOOSE_FROM = 24


def still_size(stream: VideoStream, width: int | None) -> tuple[int, int]:
    """The size of a picture of this width in the shape of the video, never enlarged."""
    across, down = stream.display_width, stream.display_height
    scale = min(1.0, width / across) if width else 1.0
    return max(1, round(across * scale)), max(1, round(down * scale))


def still_run(
    stream: VideoStream,
    *,
    role: str,
    at: float,
    size: tuple[int, int],
    container: str,
    choose: bool = False,
    lead: float = 0.0,
) -> Run:
    """Take one picture at `at` seconds; with `choose`, the most telling of the frames that follow.

    Decoding begins `lead` seconds before, for files in which a search may land behind the last key frame.
    """
    encoder, pixel_format, quality = ENCODERS[container]
    filters = encodable(stream, Geometry(scaled=size, size=size), pixel_format=pixel_format)
    if choose:
        filters = (*filters, Filter(name="thumbnail", options={"n": _CHOOSE_FROM}))
    recipe = StreamRecipe(
        kind="video",
        source_index=stream.index,
        action="encode",
        encoder=encoder,
        options=quality,
        filters=filters,
    )
    options: dict[str, Scalar] = {"update": 1, **({"ss": f"{lead:.3f}"} if lead else {})}
    return Run(
        inputs=(Input(start=round(at - lead, 3)),),
        expected_duration=1.0 / (stream.frame_rate or 25.0),
        files=(FileRecipe(role=role, muxer="image2", streams=(recipe,), options=options, frames=1),),
    )


def still_output(role: str, *, size: tuple[int, int], container: str) -> OutputPlan:
    """The picture as an output to be verified."""
    rules = PICTURE_CONTAINERS[container]
    return output_plan(
        rules,
        role,
        Expectation(
            container=container,
            picture=True,
            streams=(
                ExpectedStream(kind="video", codec=rules.video or container, width=size[0], height=size[1]),
            ),
        ),
    )


def picture_decisions(
    media: MediaInfo, stream: VideoStream, decision: StreamDecision
) -> tuple[StreamDecision, ...]:
    """Decisions for all streams where only pictures are taken."""
    why = "A picture has no use for it."
    others = [
        *(dropped_sound(track, why) for track in media.audio),
        *(dropped_subtitle(track, why) for track in media.subtitles),
        *leftovers(media, stream),
    ]
    return tuple(sorted([decision, *others], key=lambda item: item.source_index))
