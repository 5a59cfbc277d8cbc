"""Writes the tables of parameters into docs/operations.md, from the same models that check them.

    python -m engine.reference docs/operations.md

Whatever stands between a line `<!-- parameters: TYPE -->` and the next `<!-- end -->` is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.catalogue import operation_for

_PLACE = re.compile(r"(<!-- parameters: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


_IDS = {"video": "id of a video, `vid_…`", "asset": "id of a small file, `ast_…`"}


def with_tables(text: str) -> str:
    """The page with its tables as they should be. Raises Problem for an operation there is not."""
    return _PLACE.sub(lambda place: f"{place[1]}{table_of(place[2])}{place[3]}", text)


def table_of(type_: str) -> str:
    """The parameters of one operation as a table in Markdown."""
    schema = operation_for(type_).Parameters.model_json_schema()
    if not schema["properties"]:
        return "\nNo parameters.\n\n"
    lines = ["", "| parameter | values | default | meaning |", "|---|---|---|---|"]
    for name, property_ in schema["properties"].items():
        needed = name in schema.get("required", ())
        default = "**required**" if needed else _default(property_.get("default"))
        meaning = property_["description"].replace("|", "\\|")
        lines.append(f"| `{name}` | {_values(property_, schema)} | {default} | {meaning} |")
    return "\n".join([*lines, "", ""])


def _default(value: object) -> str:
    if value is None or value == []:
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _values(property_: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    kind = next(kind for kind in property_.get("anyOf", [property_]) if kind.get("type") != "null")
    if "$ref" in kind:
        kind = schema["$defs"][kind["$ref"].rpartition("/")[2]]
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind.get("format") in _IDS:
        return _IDS[kind["format"]]
    types = kind.get("type", "string")
    if kind.get("format") == "timecode":
        return "seconds or `HH:MM:SS.mmm`"
    if "array" in types:
        return "list"
    if types == ["integer", "string"]:
        return "bytes, or as `25 MB`"
    words = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    low = kind.get("minimum", kind.get("exclusiveMinimum"))
    high = kind.get("maximum")
    bounds = f" {low:g} to {high:g}" if low is not None and high is not None else ""
    return words.get(str(types), "text") + bounds


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_tables(page.read_text()))
