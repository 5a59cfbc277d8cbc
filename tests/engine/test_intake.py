"""Every upload: what is taken, what is refused, and what the refusal says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control import Control, Stopped
from engine.intake import Intake, intake
from engine.types.limits import Limits
from engine.types.results import Progress
from problems import Problem
from tests.engine.clips import CONTAINERS, H264, SECONDS, Clips, picture, sound

TakeIn = Callable[..., Intake]


@pytest.fixture
def take_in(tmp_path: Path, limits: Limits) -> TakeIn:
    def take_in(
        source: Path,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        limits: Limits = limits,
        control: Control | None = None,
    ) -> Intake:
        return intake(
            source, tmp_path / "work", limits=limits, on_progress=on_progress, control=control or Control()
        )

    return take_in


@pytest.fixture
def refused(take_in: TakeIn) -> Callable[[Path], str]:
    """The code an upload is refused with."""

    def refused(source: Path) -> str:
        with pytest.raises(Problem) as caught:
            take_in(source)
        assert caught.value.detail
        return caught.value.code

    return refused


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_promised_container_is_taken_by_content(clips: Clips, take_in: TakeIn, name: str) -> None:
    source = clips.container(name)
    result = take_in(source)
    assert result.media.container == name
    assert result.media.duration == pytest.approx(SECONDS, abs=0.2)
    assert result.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert result.thumbnail is not None
    assert result.thumbnail.path.read_bytes().startswith(b"\xff\xd8\xff")
    stream = result.media.main_video
    assert stream is not None
    assert (stream.display_width, stream.display_height, stream.frame_rate) == (320, 180, 25.0)


def test_a_recording_without_a_length_is_measured(clips: Clips, take_in: TakeIn) -> None:
    options = (
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-c:a",
        "libopus",
        "-live",
        "1",
        "-f",
        "webm",
        "pipe:1",
    )
    endless = clips.path("endless")
    from_pipe = clips.made("piped", *picture(), *sound(), *options[:-1])
    endless.write_bytes(from_pipe.read_bytes())
    assert take_in(endless).media.duration == pytest.approx(SECONDS, abs=0.1)


def test_the_thumbnail_is_upright_and_at_most_640_wide(clips: Clips, take_in: TakeIn) -> None:
    flat = clips.made("wide", *picture(size="1280x720", seconds=1), *H264, "-f", "mp4")
    turned = clips.made("tall", "-display_rotation:v:0", "90", "-i", flat, "-c", "copy", "-f", "mp4")
    for source, size in ((flat, "640x360"), (turned, "640x1138")):
        thumbnail = take_in(source).thumbnail
        assert thumbnail is not None
        assert ("picture size", size) in [
            (check.name, check.actual) for check in thumbnail.verification.report
        ]


def test_progress_rises_to_the_end(clips: Clips, take_in: TakeIn) -> None:
    seen: list[float] = []
    take_in(clips.container("mp4"), on_progress=lambda progress: seen.append(progress.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_cover_art_is_told_apart_from_the_picture(clips: Clips, take_in: TakeIn) -> None:
    art = clips.made("art", *picture(size="200x200", seconds=1), "-frames:v", "1", "-f", "mjpeg")
    source = clips.made(
        "with-art", "-i", clips.container("mp4"), "-f", "mjpeg", "-i", art, "-map", "0", "-map", "1",
        "-c", "copy", "-disposition:v:1", "attached_pic", "-f", "mp4",
    )  # fmt: skip
    media = take_in(source).media
    assert [stream.attached_picture for stream in media.video] == [False, True]
    assert media.main_video == media.video[0]


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("text", b"I am only called .mp4\n" * 50, "not_a_video"),
        ("empty", b"", "upload_empty"),
        ("one-byte", b"x", "not_a_video"),
        ("noise", bytes(range(256)) * 2000, "not_a_video"),
        ("pdf", b"%PDF-1.7\n" + b"0" * 2000, "not_a_video"),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        ("elf", b"\x7fELF\x02\x01\x01" + bytes(2000), "not_a_video"),
        ("gif", b"GIF89a" + bytes(100), "unsupported_format"),
        ("dash", b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>", "unsupported_format"),
        ("sdp", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "unsupported_format"),
    ],
)
def test_what_is_no_video(
    clips: Clips, refused: Callable[[Path], str], name: str, data: bytes, code: str
) -> None:
    assert refused(clips.written(name, data)) == code


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c:a", "aac", "-f", "mp4"),
        ("-c:a", "libmp3lame", "-f", "mp3"),
        ("-f", "wav"),
        ("-c:a", "flac", "-f", "flac"),
        ("-c:a", "libvorbis", "-f", "ogg"),
        ("-c:a", "libopus", "-f", "matroska"),
    ],
)
def test_sound_alone(clips: Clips, refused: Callable[[Path], str], arguments: tuple[str, ...]) -> None:
    source = clips.made(f"sound-{arguments[-1]}", *sound(seconds=1), *arguments)
    assert refused(source) == "no_video_stream"


@pytest.mark.parametrize("playlist", ["hls", "ffconcat", "hls-after-blank-lines"])
def test_a_playlist_never_opens_another_file(
    clips: Clips, refused: Callable[[Path], str], playlist: str
) -> None:
    other = clips.container("mp4").as_posix()
    text = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{other}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{other}'\n",
        "hls-after-blank-lines": f"\n\n#EXTM3U\n#EXTINF:3,\n{other}\n#EXT-X-ENDLIST\n",
    }[playlist]
    assert refused(clips.written(playlist, text.encode())) == "unsupported_format"


@pytest.mark.parametrize("name", ["mp4", "mov", "avi", "webm", "mkv", "flv", "wmv", "3gp"])
def test_half_a_file(clips: Clips, refused: Callable[[Path], str], name: str) -> None:
    whole = clips.container(name).read_bytes()
    assert refused(clips.written(f"half-{name}", whole[: len(whole) // 2])) == "input_truncated"


def test_half_a_file_with_its_index_in_front(clips: Clips, refused: Callable[[Path], str]) -> None:
    source = clips.made(
        "indexed", "-i", clips.container("mp4"), "-c", "copy", "-movflags", "+faststart", "-f", "mp4"
    )
    whole = source.read_bytes()
    half = len(whole) // 2
    assert refused(clips.written("indexed-half", whole[:half])) == "input_truncated"
    assert refused(clips.written("indexed-zeros", whole[:half] + bytes(half))) == "input_truncated"


@pytest.mark.parametrize("codec", ["magicyuv", "ffv1", "huffyuv"])
def test_a_codec_off_the_list(clips: Clips, refused: Callable[[Path], str], codec: str) -> None:
    source = clips.made(codec, *picture(seconds=1), "-c:v", codec, "-f", "matroska")
    assert refused(source) == "unsupported_codec"


def test_a_picture_that_would_fill_the_memory(clips: Clips, take_in: TakeIn) -> None:
    bomb = clips.made("bomb", "-f", "lavfi", "-i", "color=s=9000x9000:r=1:d=1", *H264, "-f", "mp4")
    assert bomb.stat().st_size < 2_000_000
    with pytest.raises(Problem) as caught:
        take_in(bomb)
    assert caught.value.code == "too_large_dimensions"
    assert caught.value.data["width"] == 9000


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_too_many_streams(clips: Clips, refused: Callable[[Path], str], container: str) -> None:
    maps = ["-map", "1:a"] * 40
    name = f"many-{container}"
    source = clips.made(
        name, *picture(seconds=1), *sound(seconds=1), *maps, "-map", "0:v", *H264, "-f", container
    )
    assert refused(source) == "too_many_streams"


def test_sixty_thousand_frames_a_second(clips: Clips, refused: Callable[[Path], str]) -> None:
    source = clips.made(
        "fast", *picture(size="64x64", rate="1000", seconds=0.1), *H264, "-r", "60000", "-f", "mp4"
    )
    assert refused(source) == "implausible_timing"


@pytest.mark.parametrize(("gap", "code"), [(90_000, "too_long"), (80_000, "implausible_timing")])
def test_a_gap_in_time(clips: Clips, refused: Callable[[Path], str], gap: int, code: str) -> None:
    source = clips.made(
        f"gap-{gap}", *picture(size="64x64", rate="1", seconds=2), *H264,
        "-vf", f"setpts=if(eq(N\\,1)\\,{gap}/TB\\,PTS)", "-fps_mode", "passthrough", "-f", "matroska",
    )  # fmt: skip
    assert refused(source) == code


def test_an_encrypted_file(clips: Clips, refused: Callable[[Path], str]) -> None:
    key = "00112233445566778899aabbccddeeff"
    source = clips.made(
        "locked", *picture(seconds=1), *H264, "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key,
        "-encryption_kid", key, "-f", "mp4",
    )  # fmt: skip
    assert refused(source) == "input_encrypted"


def test_texts_in_a_file_are_cleaned(clips: Clips, take_in: TakeIn) -> None:
    title = '"><img src=x onerror=alert(1)>\n\x07' + "a" * 1000
    source = clips.made(
        "titled", "-i", clips.container("mp4"), "-c", "copy", "-metadata", f"title={title}", "-f", "mp4"
    )
    kept = take_in(source).media.title
    assert kept is not None
    assert len(kept) == 200
    assert kept.isprintable()


def test_a_stopped_intake_stops(clips: Clips, take_in: TakeIn) -> None:
    control = Control()
    control.stop()
    with pytest.raises(Stopped):
        take_in(clips.container("mp4"), control=control)
