"""The sandbox alone: ffmpeg without any list of what it may open tries to get at what is not its own.

Each trick is first seen to work without a sandbox, so that its failure inside one proves something.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import runner
from engine.binaries import ffmpeg_path
from engine.control import Control
from engine.decoding import decode
from engine.probe import probe
from engine.runner import Outcome
from engine.sandbox import choice
from engine.sandbox.starting import LIMITS
from engine.types.limits import Limits
from engine.whitelist import RESULTS, UPLOADS
from problems import Problem
from tests.engine.clips import H264, Clips, picture
from tests.engine.layers import LAYERS, inside
from tests.engine.test_hostile import elsewhere, small

__all__ = ["inside"]


# ---------------------------------------------------------------------------------------------- tricks


@dataclass(frozen=True)
class Trick:
    """A file that leads to another, and the options with which ffmpeg follows."""

    make: Callable[[Path, str], None]
    options: tuple[str, ...] = ()
    muxer: str = "mpegts"


def _hls(path: Path, to: str) -> None:
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{to}\n#EXT-X-ENDLIST\n")


def _ffconcat(path: Path, to: str) -> None:
    path.write_text(f"ffconcat version 1.0\nfile '{to}'\n")


def _dash(path: Path, to: str) -> None:
    path.write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet contentType="video"><Representation id="0" bandwidth="1" width="64" height="64" '
        f'mimeType="video/mp4"><BaseURL>{to}</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>"
    )


FOLLOWING = ("-protocol_whitelist", "file,http,tcp,udp,rtp,crypto,data,concat,subfile", "-max_streams", "9")
HLS = (*FOLLOWING, "-f", "hls", "-allowed_extensions", "ALL", "-extension_picky", "0")
FILE_TRICKS: dict[str, Trick] = {
    "hls": Trick(_hls, HLS),
    "ffconcat": Trick(_ffconcat, (*FOLLOWING, "-f", "concat", "-safe", "0")),
    "dash": Trick(_dash, (*FOLLOWING, "-f", "dash"), muxer="mp4"),
}


def followed(source: Path, options: tuple[str, ...]) -> Outcome:
    """ffmpeg, with every door of its own open, on a file."""
    argv = [str(ffmpeg_path()), "-nostdin", "-v", "error", *options, "-i", f"file:{source}"]
    argv += ["-map", "0:v", "-f", "framecrc", "pipe:1"]
    return runner.run(argv, cwd=source.parent, limits=Limits(), control=Control(), seconds=20)


def frames_of(outcome: Outcome) -> int:
    return sum(line[:1].isdigit() for line in outcome.stdout.decode().splitlines())


@pytest.mark.parametrize("name", FILE_TRICKS)
def test_another_tenants_file_stays_unread(
    clips: Clips, tmp_path: Path, inside: Callable[[str], None], name: str
) -> None:
    trick = FILE_TRICKS[name]
    source, theirs = tmp_path / "mine" / "source", tmp_path / "theirs" / "video.mp4"
    for path in (source, theirs):
        path.parent.mkdir()
    theirs.write_bytes(
        clips.made("tenant", *picture("64x64", seconds=1), *H264, "-f", trick.muxer).read_bytes()
    )
    trick.make(source, str(theirs))
    inside(LIMITS)
    assert frames_of(followed(source, trick.options)) == 25, "the trick works without a sandbox"
    for layer in LAYERS:
        inside(layer)
        outcome = followed(source, trick.options)
        assert frames_of(outcome) == 0, layer
        assert not outcome.succeeded or "Permission denied" in outcome.log or "No such file" in outcome.log


def test_a_reference_in_quicktime_stays_unread(clips: Clips, inside: Callable[[str], None]) -> None:
    """The pictures of such a file are in another one; here, in a video of another tenant."""
    options = ("-enable_drefs", "1", "-use_absolute_path", "1")
    tenant = clips.written("theirs", small(clips).read_bytes())
    source = elsewhere(clips, tenant)
    inside(LIMITS)
    theirs = followed(tenant, ()).stdout
    assert frames_of(followed(tenant, ())) == 25
    assert followed(source, options).stdout == theirs, "the trick works without a sandbox"
    for layer in LAYERS:
        inside(layer)
        assert frames_of(followed(source, options)) == 0, layer


CALLING_TRICKS: dict[str, Trick] = {
    "hls": Trick(_hls, HLS),
    "dash": Trick(_dash, (*FOLLOWING, "-f", "dash")),
    "ffconcat": Trick(_ffconcat, (*FOLLOWING, "-f", "concat", "-safe", "0")),
}


@pytest.mark.parametrize("name", CALLING_TRICKS)
def test_no_packet_leaves(tmp_path: Path, inside: Callable[[str], None], name: str) -> None:
    """A call is heard outside of a sandbox, and none from within."""
    trick = CALLING_TRICKS[name]
    source = tmp_path / "source"
    with choice._listeners() as listening:
        trick.make(source, f"http://127.0.0.1:{listening.addresses['port']}/x.mp4")
        inside(LIMITS)
        assert heard_by(listening, lambda: followed(source, trick.options)) == {"loopback"}, (
            "outside it works"
        )
        for layer in LAYERS:
            inside(layer)
            assert heard_by(listening, lambda: followed(source, trick.options)) == set(), layer


def heard_by(listening: choice._Listening, act: Callable[[], object]) -> set[str]:
    """What reached the listeners. Each caller is hung up on, so that it does not wait for an answer."""
    heard: set[str] = set()
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.02):
            heard.update(listening.reached())

    thread = threading.Thread(target=listen)
    thread.start()
    act()
    over.set()
    thread.join()
    return heard | set(listening.reached())


@pytest.mark.parametrize("name", sorted(FILE_TRICKS | CALLING_TRICKS))
def test_the_lists_alone_hold(tmp_path: Path, inside: Callable[[str], None], name: str) -> None:
    """The other wall without this one: what the engine lets ffmpeg open, with no sandbox around it."""
    trick = (FILE_TRICKS | CALLING_TRICKS)[name]
    source, theirs = tmp_path / "mine" / "source", tmp_path / "theirs"
    source.parent.mkdir()
    theirs.touch()
    inside(LIMITS)
    with choice._listeners() as listening:
        for to in (str(theirs), f"http://127.0.0.1:{listening.addresses['port']}/x.mp4"):
            trick.make(source, to)
            for reading in (UPLOADS, RESULTS):
                with pytest.raises(Problem) as caught:
                    probe(source, reading=reading, limits=Limits(), control=Control())
                assert caught.value.code in {"unsupported_format", "not_a_video"}
        assert set(listening.reached()) == set()


def test_the_lists_alone_open_no_reference(clips: Clips, inside: Callable[[str], None]) -> None:
    tenant = clips.written("theirs", small(clips).read_bytes())
    inside(LIMITS)
    found = decode(elsewhere(clips, tenant), reading=UPLOADS, limits=Limits(), control=Control())
    assert found.first_stream == 0
