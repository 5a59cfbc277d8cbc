"""A small tree as the original wrote it, made for each test; nothing of it comes from outside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from engine import catalogue
from engine.control import Control
from engine.execute import execute
from engine.intake import intake
from engine.samples import sample_clip
from engine.types.limits import Limits
from engine.types.recipes import SOURCE
from jobs import dispatch, publish

PASSWORD = "secret"
NOTHING_TO_SAY: dict[str, Any] = {"on_progress": lambda _: None}


@dataclass(frozen=True)
class Made:
    """A source and files made from it, as the original would have had them."""

    source: Path
    resized: Path
    webm: Path
    mov: Path
    aac: Path
    silent: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    source, silent = folder / "source.mp4", folder / "silent.mp4"
    sample_clip(source, seconds=2.0, width=320, height=180, fps=24)
    sample_clip(silent, seconds=1.0, width=320, height=180, fps=24, audio=False)
    control = Control()
    media = intake(source, folder / "intake", limits=Limits(), control=control, **NOTHING_TO_SAY).media

    def result(type_: str, **parameters: Any) -> Path:
        plan = catalogue.plan_for(type_, catalogue.parameters_for(type_, parameters), media)
        work = folder / f"{type_}-{len(list(folder.iterdir()))}"
        done = execute(
            plan,
            0,
            sources={SOURCE: source},
            work_dir=work,
            limits=Limits(),
            control=control,
            **NOTHING_TO_SAY,
        )
        return done.artifacts[0].path

    return Made(
        source=source,
        silent=silent,
        resized=result("resize", width=160, height=90),
        webm=result("convert", format="webm"),
        mov=result("convert", format="mov"),
        aac=result("extract_audio", format="aac"),
    )


class LegacyTree:
    """`data/` and `storage/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        (folder / "storage").mkdir()
        for name in ("users", "sessions", "videos"):
            self.write(name, [])

    def write(self, name: str, records: Any) -> None:
        text = records if isinstance(records, str) else json.dumps(records)
        (self.folder / "data" / name).write_text(text, encoding="utf-8")

    def put(self, video_id: str, **files: Path | bytes) -> None:
        """Files of a video; the last `_` of a name stands for its dot, `x160x90_mp4` for a size."""
        target = self.folder / "storage" / video_id
        target.mkdir(exist_ok=True)
        for name, content in files.items():
            stem, _, extension = name.removeprefix("x").rpartition("_")
            path = target / f"{stem}.{extension}"
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                shutil.copyfile(content, path)

    def shape(self) -> dict[str, tuple[int, int]]:
        return shape(self.folder)


def shape(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below, with its size and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def person(number: Any, username: str, password: Any = PASSWORD, **more: Any) -> dict[str, Any]:
    return {"id": number, "name": f"Person {number}", "username": username, "password": password, **more}


def film(video_id: Any, user_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": 0,
        "videoId": video_id,
        "name": f"Film {video_id}",
        "extension": "mp4",
        "dimensions": {"width": 320, "height": 180},
        "userId": user_id,
        "extractedAudio": False,
        "resizes": {},
        **more,
    }


@pytest.fixture
def tree(tmp_path: Path) -> LegacyTree:
    return LegacyTree(tmp_path / "legacy")


@pytest.fixture
def var(settings: Settings, tmp_path: Path) -> Path:
    """Where backups go."""
    settings.VAR = tmp_path / "var"
    settings.VAR.mkdir()
    return tmp_path / "var"


@dataclass(frozen=True)
class Outcome:
    """What the command said."""

    text: str
    progress: str
    report: dict[str, Any]

    def row(self, name: str) -> dict[str, int]:
        """The columns that are not zero."""
        counts: dict[str, int] = self.report["counts"][name]
        return {column: number for column, number in counts.items() if number}

    def reasons(self, level: str, file: str, index: int | None = None) -> list[str]:
        return [
            f"{finding['what']}: {finding['reason']}"
            for finding in self.report["findings"]
            if (finding["level"], finding["file"], finding["index"]) == (level, file, index)
        ]


Run = Callable[..., Outcome]


@pytest.fixture
def run(transactional_db: None, tree: LegacyTree, var: Path, tmp_path: Path) -> Iterator[Run]:
    def run(*arguments: str, folder: Path | None = None) -> Outcome:
        out, err, report = StringIO(), StringIO(), tmp_path / "report.json"
        words = [str(folder or tree.folder), "--report", str(report), *arguments]
        call_command("import_legacy", *words, stdout=out, stderr=err)
        found = json.loads(report.read_text(encoding="utf-8"))
        for counts in found["counts"].values():
            assert counts["found"] == sum(number for column, number in counts.items() if column != "found")
        return Outcome(out.getvalue(), err.getvalue(), found)

    yield run
    dispatch.flush()
    publish.flush()
