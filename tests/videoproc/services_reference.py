"""Writes the reference in docs/services.md from the code: `python -m tests.videoproc.services_reference`.

What stands above its mark is written by hand and stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "services.md"
MARK = "<!-- From here on made by `python -m tests.videoproc.services_reference` -->\n"
ROOMS = ("users", "videos", "jobs")
# Modules and packages of a room that hold what others may call.
KINDS = ("selectors", "preset_selectors", "statistics", "services", "steering")


def modules(room: str) -> Iterator[Path]:
    for kind in KINDS:
        module, package = ROOT / room / f"{kind}.py", ROOT / room / kind
        if module.is_file():
            yield module
        yield from sorted(file for file in package.glob("*.py") if not file.name.startswith("_"))


def functions(module: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def entry(function: ast.FunctionDef) -> str:
    returned = ast.unparse(function.returns) if function.returns else "None"
    signature = f"{function.name}({ast.unparse(function.args)}) -> {returned}"
    meaning = ast.get_docstring(function) or "(says its name)"
    return f"```python\n{signature}\n```\n\n{meaning}\n"


def reference() -> str:
    """The generated part of the page."""
    parts = []
    for room in ROOMS:
        for module in modules(room):
            name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
            entries = [entry(function) for function in functions(module)]
            if entries:
                parts += [f"## `{name}`\n", *entries]
    return "\n".join(parts)


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{written}{MARK}\n{reference()}", encoding="utf-8")
