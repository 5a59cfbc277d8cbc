"""Set-up's decisions: where to run from, which interpreter, what has to be done again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bootstrap import home, indexes, installer, packages, stamps
from bootstrap.console import SetupFailed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project"
    (folder / "engine").mkdir(parents=True)
    (folder / "manage.py").write_text("print('hi')")
    (folder / "engine" / "probe.py").write_text("one")
    (folder / "bin").mkdir()
    (folder / "bin" / "up").write_text("#!/bin/sh")
    (folder / "bin" / "up").chmod(0o700)
    for name in (".git", "var", "node_modules", ".venv"):
        (folder / name).mkdir()
        (folder / name / "inside").write_text("not code")
    return folder


def test_an_ordinary_user_runs_where_the_project_is(project: Path) -> None:
    assert home.choose_home(project, as_root=False) == project


def test_root_runs_elsewhere_when_the_way_is_closed(
    monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "lib" / "videoproc"
    shared.parent.mkdir()
    monkeypatch.setattr(home, "SHARED", shared)
    monkeypatch.setattr(home, "is_open", lambda path: path != project)
    if os.geteuid() == 0:
        chosen = home.choose_home(project, as_root=True)
        assert chosen.parent == shared
        assert chosen == home.choose_home(project, as_root=True)
    else:
        with pytest.raises(SetupFailed, match="does not belong to root"):
            home.choose_home(project, as_root=True)


def test_a_closed_parent_is_seen(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch()
    assert not home.is_open(closed / "file")
    assert home.is_open(Path("/usr/bin/env"))


def test_the_copy_follows_the_project(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / ".venv").mkdir(parents=True)
    (copy / ".venv" / "kept").touch()
    assert home.copy_code(project, copy) == 3
    assert home.copy_code(project, copy) == 0
    assert sorted(path.name for path in copy.iterdir()) == [".venv", "bin", "engine", "manage.py"]
    assert (copy / "bin" / "up").stat().st_mode & 0o777 == 0o755
    assert (copy / "manage.py").stat().st_mode & 0o777 == 0o644

    (project / "engine" / "probe.py").unlink()
    (project / "engine" / "plan.py").write_text("two")
    (project / "manage.py").unlink()
    home.copy_code(project, copy)
    assert [path.name for path in (copy / "engine").iterdir()] == ["plan.py"]
    assert not (copy / "manage.py").exists()
    assert (copy / ".venv" / "kept").exists()


def test_earlier_state_moves_along(project: Path, tmp_path: Path) -> None:
    real = tmp_path / "home" / "var"
    real.mkdir(parents=True)
    home.link_state(project / "var", real)
    home.link_state(project / "var", real)
    assert (project / "var").is_symlink()
    assert (real / "inside").read_text() == "not code"


def test_state_in_two_places_is_not_mixed(project: Path, tmp_path: Path) -> None:
    real = tmp_path / "home" / "var"
    real.mkdir(parents=True)
    (real / "postgres").mkdir()
    with pytest.raises(SetupFailed, match="There is state in"):
        home.link_state(project / "var", real)


def test_an_environment_is_made_again_for_another_lock_or_place(tmp_path: Path) -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("one==1")
    python = packages.python_of(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    assert not packages.is_current(tmp_path, development=False)
    wanted = packages._wanted(tmp_path, development=True)
    stamps.write(tmp_path / ".venv" / packages.STAMP, wanted)
    assert packages.is_current(tmp_path, development=False)
    assert packages.is_current(tmp_path, development=True)
    (tmp_path / "requirements-dev.txt").write_text("one==2")
    assert packages.is_current(tmp_path, development=False)
    assert not packages.is_current(tmp_path, development=True)
    stamps.write(tmp_path / ".venv" / packages.STAMP, wanted | {"folder": "/somewhere/else"})
    assert not packages.is_current(tmp_path, development=False)


def test_the_index_of_pip_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "UV_DEFAULT_INDEX",
        "PIP_INDEX_URL",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "PIP_CERT",
    ):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://packages.example.org/simple\ncert = /etc/own-ca.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    environment = indexes.uv_environment(tmp_path)
    assert environment["UV_DEFAULT_INDEX"] == "https://packages.example.org/simple"
    assert environment["SSL_CERT_FILE"] == "/etc/own-ca.pem"


@pytest.mark.parametrize("form", ["json", "html"])
def test_the_installer_is_found_on_an_index_page(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(installer, "_platform_tag", lambda: r"manylinux[0-9a-z_]*_x86_64\.")
    version = installer.LOCK.read_text().split("==", 1)[1].split()[0]
    name = f"uv-{version}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    files = [{"filename": "uv-0.0.1.tar.gz", "url": "x"}, {"filename": name, "url": f"../f/{name}"}]
    page = json.dumps({"files": files})
    if form == "html":
        page = f'<a href="x">uv-0.0.1.tar.gz</a> <a class="y" href="../f/{name}#sha256=1">{name}</a>'
    url = installer._wheel_url(page, "https://packages.example.org/simple/uv/")
    assert url == f"https://packages.example.org/simple/f/{name}"
