"""Names what a file plainly is when it is no video, so that the refusal can say so.

Only for the words of the refusal: what is accepted is decided by the whitelisted demuxers, never here.
"""

from __future__ import annotations

import re
from pathlib import Path

from problems import Problem

_HEAD = 4096

# How the file begins -> what it is. Text may follow a byte order mark and white space.
_FORMATS = (
    (rb"#EXTM3U", "HLS playlist"),
    (rb"ffconcat version", "ffconcat playlist"),
    (rb"(?s)(?:<\?xml.*?)?<MPD\b", "DASH manifest"),
    (rb"(?s)(?:<\?xml.*?)?<(?:smil|SmoothStreamingMedia)\b", "streaming manifest"),
    (rb"v=0\r?\no=", "SDP session"),
    (rb"\[playlist\]", "playlist"),
    (rb"GIF8[79]a", "GIF picture"),
    (rb"\x89PNG\r\n", "PNG picture"),
    (rb"\xff\xd8\xff", "JPEG picture"),
    (rb"(?s)RIFF.{4}WEBP", "WebP picture"),
    (rb"\.RMF", "RealMedia"),
    (rb"[FCZ]WS[\x01-\x40]", "Flash animation"),
)
_SOUND = re.compile(
    rb"(?s)ID3|fLaC|RIFF.{4}WAVE|RF64.{4}WAVE|#!AMR|caff|FORM.{4}AIF|\xff[\xfa\xfb\xf2\xf3\xe2\xe3\xf1\xf9]"
)


def refusal(path: Path) -> Problem | None:
    """The problem with a file that is plainly something else; None when that is not so plain."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return Problem("upload_empty")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name in _FORMATS:
        if re.match(pattern, text):
            return Problem("unsupported_format", format=name)
    if _SOUND.match(head):
        return Problem("no_video_stream")
    return None
