"""The other streams of a plan: sound, subtitles, and decisions for everything that is left out."""

from __future__ import annotations

from dataclasses import dataclass

from engine.codecs import AUDIO_CODECS, AudioCodec, label_of
from engine.containers import Container
from engine.plan import Part
from engine.types.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from engine.types.plan import ExpectedStream, StreamDecision
from engine.types.recipes import Filter, StreamRecipe
from engine.types.value import Scalar

_LEAST_MP3_RATE = 16_000
_LATE = 0.02  # seconds
_FROM_THE_BEGINNING = Filter(name="aresample", options={"async": 1, "first_pts": 0})
_AUDIO_SPEED = 60.0  # seconds of sound encoded in a second

# -------------------------------------------------------------------------------------------------- sound


@dataclass(frozen=True, slots=True)
class SoundWish:
    """What is asked of sound tracks: a codec, kilobits a second for each, at most so many channels."""

    codec: str | None = None
    kbits: int | None = None
    channels: int | None = None

    def reason(self, track: AudioStream) -> str | None:
        """Why a track that could be copied is not; None when it already is as asked."""
        if self.codec is not None and self.codec != track.codec:
            return f"Encoded to {label_of(self.codec)}, as asked."
        if self.kbits is not None:
            return f"Encoded at {self.kbits} kbit/s, as asked."
        if self.channels is not None and (track.channels or 2) > self.channels:
            return "Encoded with fewer channels, as asked."
        return None


NO_WISH = SoundWish()


def audio_parts(
    media: MediaInfo,
    container: Container,
    *,
    why: str | None = None,
    filters: tuple[Filter, ...] = (),
    wish: SoundWish = NO_WISH,
) -> tuple[list[Part], list[StreamDecision]]:
    """Every sound track the container can hold, copied where it may be; and the tracks left out.

    With `why` all are encoded for that reason, through `filters`, in their own codec where there is a way.
    """
    tracks = list(media.audio)
    if not container.many_audio and media.main_audio is not None:
        tracks = [media.main_audio]
    parts = []
    for track in tracks:
        late = not container.late_sound and track.start_time > _LATE
        obstacle = audio_obstacle(media, track, container)
        reason = why or (f"Encoded because {obstacle}." if obstacle else None)
        # A wish is the better explanation, where both are true.
        reason = wish.reason(track) or reason
        if reason is None:
            parts.append(audio_copied(media, track, container))
            continue
        codec = _codec_for(track, container, wish, keep=why is not None or obstacle is None)
        chain = (_FROM_THE_BEGINNING, *filters) if late else filters
        parts.append(audio_encoded(media, track, codec, why=reason, filters=chain, wish=wish))
    left_out = [
        _dropped("audio", track.index, track.codec, f"{container.label} holds one sound track only.")
        for track in media.audio
        if track not in tracks
    ]
    return parts, left_out


def _codec_for(track: AudioStream, container: Container, wish: SoundWish, *, keep: bool) -> AudioCodec:
    """What a track is encoded to: as asked, its own where that is kept and has a rate to set, the usual."""
    usual = AUDIO_CODECS[container.audio or "aac"]
    if wish.codec is not None:
        return AUDIO_CODECS[wish.codec]
    own = AUDIO_CODECS.get(track.codec) if keep and track.codec in container.copies_audio else None
    return own if own is not None and (own.kbits or wish.kbits is None) else usual


def audio_obstacle(media: MediaInfo, track: AudioStream, container: Container) -> str | None:
    """Why a sound track cannot go into the container untouched; None when it can."""
    if track.codec not in container.copies_audio:
        return f"{label_of(track.codec)} does not fit into {container.label} files"
    slow = track.sample_rate is not None and track.sample_rate < _LEAST_MP3_RATE
    if track.codec == "mp3" and slow and container.name in ("mp4", "mov"):
        return f"MP3 of {track.sample_rate} Hz does not fit into {container.label} files"
    if track.start_time > _LATE and not container.late_sound:
        return f"{container.label} cannot tell that it begins after the picture"
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
    wish: SoundWish = NO_WISH,
    filters: tuple[Filter, ...] = (),
) -> Part:
    """A sound track encoded again, through `filters`, at the rate and with the channels that are wished."""
    channels = track.channels or 2
    kept = min(channels, codec.max_channels, wish.channels or channels)
    options: dict[str, Scalar] = {}
    rate = codec.kbits and codec.allowed_kbits(wish.kbits or codec.kbits * kept, kept)
    if rate:
        options["b"] = f"{rate}k"
        if wish.kbits is not None and rate != wish.kbits:
            why = f"{why.rstrip('.')}; {codec.label} takes {rate} kbit/s here."
    if codec.rates and track.sample_rate not in codec.rates:
        options["ar"] = codec.rates[-1]
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
