"""The one font for subtitles that are drawn, laid out so that no other font of the machine is looked at.

Without a list of its own fontconfig reads the system's, and the same video would look another way elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from engine.binaries import font_path

FONTS_LIST = "fonts.conf"
FONTS_FOLDER = "fonts"


def lay_out_font(work_dir: Path) -> None:
    """Put the font and fontconfig's list of it into the working directory."""
    folder = work_dir / FONTS_FOLDER
    folder.mkdir(exist_ok=True)
    link = folder / "font.ttf"
    link.unlink(missing_ok=True)
    link.symlink_to(font_path())
    place = escape(str(folder.absolute()))
    text = f"<fontconfig><dir>{place}</dir><cachedir>{place}</cachedir></fontconfig>"
    (work_dir / FONTS_LIST).write_text(f'<?xml version="1.0"?>{text}', encoding="utf-8")
