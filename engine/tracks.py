"""The other streams of a plan: sound, subtitles, and decisions for everything that is left out."""

from __future__ import annotations

from engine.codecs import AUDIO_CODECS, AudioCodec, label_of
from engine.containers import Container
from engine.plan import Part
from engine.types import (
    AudioStream,
    ExpectedStream,
    Filter,
    MediaInfo,
    Scalar,
    StreamDecision,
    StreamRecipe,
    SubtitleStream,
    VideoStream,
)

_AUDIO_SPEED = 60.0  # seconds of sound encoded in a second

# -------------------------------------------------------------------------------------------------- sound


def audio_parts(
    media: MediaInfo, container: Container, *, why: str | None = None, filters: tuple[Filter, ...] = ()
) -> tuple[list[Part], list[StreamDecision]]:
    """Every sound track the container can hold, copied where it may be; and the tracks left out.

    With `why` all are encoded for that reason, through `filters`, in their own codec where there is a way.
    """
    tracks = list(media.audio)
    if not container.many_audio and media.main_audio is not None:
        tracks = [media.main_audio]
    codec = AUDIO_CODECS[container.audio or "aac"]
    parts = []
    for track in tracks:
        obstacle = audio_obstacle(media, track, container)
        if why is not None:
            own = AUDIO_CODECS.get(track.codec) if track.codec in container.copies_audio else None
            parts.append(audio_encoded(media, track, own or codec, why=why, filters=filters))
        elif obstacle is None:
            parts.append(audio_copied(media, track, container))
        else:
            parts.append(audio_encoded(media, track, codec, why=f"Encoded because {obstacle}."))
    left_out = [
        _dropped("audio", track.index, track.codec, f"{container.label} holds one sound track only.")
        for track in media.audio
        if track not in tracks
    ]
    return parts, left_out


def audio_obstacle(media: MediaInfo, track: AudioStream, container: Container) -> str | None:
    """Why a sound track cannot go into the container untouched; None when it can."""
    if track.codec not in container.copies_audio:
        return f"{label_of(track.codec)} does not fit into {container.label} files"
    if media.main_video is not None and media.main_video.preroll and not container.edit_lists:
        return f"{container.label} cannot hide the sound before the point where the video was cut"
    return None


def audio_copied(media: MediaInfo, track: AudioStream, container: Container) -> Part:
    """A sound track untouched."""
    return Part(
        recipe=StreamRecipe(
            kind="audio",
            source_index=track.index,
            action="copy",
            language=track.language,
            title=track.title,
            default=track == media.main_audio,
        ),
        expected=ExpectedStream(kind="audio", codec=track.codec, copied=True),
        decision=StreamDecision(
            kind="audio",
            source_index=track.index,
            action="copy",
            codec=track.codec,
            why=f"Copied as it is: {label_of(track.codec)} fits into {container.label} files.",
        ),
        bits=(track.bit_rate or 128_000) * media.duration,
        cpu_seconds=0.0,
    )


def audio_encoded(
    media: MediaInfo,
    track: AudioStream,
    codec: AudioCodec,
    *,
    why: str,
    kbits: int | None = None,
    filters: tuple[Filter, ...] = (),
) -> Part:
    """A sound track encoded again, through `filters`; `kbits` is the rate of the whole track."""
    channels = track.channels or 2
    kept = min(channels, codec.max_channels)
    rate = kbits or codec.kbits * kept
    options: dict[str, Scalar] = {}
    if rate:
        options["b"] = f"{rate}k"
    if kept != channels:
        options["ac"] = kept
        why = f"{why.rstrip('.')}; {channels} channels are mixed down to {kept}."
    if codec.layouts:
        filters = (*filters, Filter(name="aformat", options={"channel_layouts": codec.layouts}))
    return Part(
        recipe=StreamRecipe(
            kind="audio",
            source_index=track.index,
            action="encode",
            encoder=codec.encoder,
            options=options,
            filters=filters,
            language=track.language,
            title=track.title,
            default=track == media.main_audio,
        ),
        expected=ExpectedStream(kind="audio", codec=codec.name),
        decision=StreamDecision(
            kind="audio", source_index=track.index, action="encode", codec=codec.name, why=why
        ),
        bits=(rate * 1000 if rate else (track.sample_rate or 48_000) * kept * 16) * media.duration,
        cpu_seconds=media.duration / _AUDIO_SPEED,
    )


# ---------------------------------------------------------------------------------------------- the others


def subtitle_parts(media: MediaInfo, container: Container) -> tuple[list[Part], list[StreamDecision]]:
    """Every subtitle track the container can hold; and those it cannot."""
    parts: list[Part] = []
    left_out: list[StreamDecision] = []
    for track in media.subtitles:
        label = label_of(track.codec)
        if track.codec in container.copies_subtitles:
            parts.append(
                _subtitle(
                    track, None, track.codec, f"Copied as it is: {label} fits into {container.label} files."
                )
            )
        elif track.is_text and container.text_subtitles:
            target = container.text_subtitles
            why = f"Rewritten, because text in {container.label} files is stored as {label_of(target)}."
            parts.append(_subtitle(track, target, target, why))
        else:
            why = f"{container.label} files cannot carry {label} subtitles."
            left_out.append(_dropped("subtitle", track.index, track.codec, why))
    return parts, left_out


def _subtitle(track: SubtitleStream, encoder: str | None, codec: str, why: str) -> Part:
    return Part(
        recipe=StreamRecipe(
            kind="subtitle",
            source_index=track.index,
            action="encode" if encoder else "copy",
            encoder=encoder,
            language=track.language,
            title=track.title,
            default=track.default,
            forced=track.forced,
        ),
        expected=ExpectedStream(kind="subtitle", codec=codec, copied=encoder is None),
        decision=StreamDecision(
            kind="subtitle",
            source_index=track.index,
            action="encode" if encoder else "copy",
            codec=codec,
            why=why,
        ),
        bits=8_000.0,
        cpu_seconds=0.0,
    )


def dropped_words(track: SubtitleStream, why: str) -> StreamDecision:
    """A subtitle track that is left out, and why."""
    return _dropped("subtitle", track.index, track.codec, why)


def leftovers(media: MediaInfo, used: VideoStream | None) -> list[StreamDecision]:
    """Decisions for streams no output takes: cover art, further pictures, data."""
    decisions = []
    for stream in media.video:
        if used is not None and stream.index == used.index:
            continue
        why = (
            "Cover art is a still picture, not part of the video."
            if stream.attached_picture
            else "Only the main picture is kept."
        )
        decisions.append(_dropped("video", stream.index, stream.codec, why))
    decisions += [
        _dropped("data", other.index, other.codec, f"A {other.kind} stream has no use outside its source.")
        for other in media.others
    ]
    return decisions


def dropped_sound(track: AudioStream, why: str) -> StreamDecision:
    """A sound track that is left out."""
    return _dropped("audio", track.index, track.codec, why)


def dropped_subtitle(track: SubtitleStream, why: str) -> StreamDecision:
    """A subtitle track that is left out."""
    return _dropped("subtitle", track.index, track.codec, why)


def dropped_video(stream: VideoStream, why: str) -> StreamDecision:
    """A picture that is left out."""
    return _dropped("video", stream.index, stream.codec, why)


def _dropped(kind: str, index: int, codec: str | None, why: str) -> StreamDecision:
    return StreamDecision.model_validate(
        {"kind": kind, "source_index": index, "action": "drop", "codec": codec, "why": why}
    )
