"""Folders, accounts and modes of the state of a site."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from videoproc.embedded import accounts, paths


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("VIDEOPROC_USER", raising=False)


def test_sockets_are_below_var_where_their_addresses_fit() -> None:
    assert paths.run_folder(Path("/srv/videoproc/var")) == Path("/srv/videoproc/var/run")


@pytest.mark.parametrize("var", ["/srv/" + "long/" * 20 + "var", "/srv/my videos/var", '/srv/quo"ted/var'])
def test_sockets_move_to_a_short_plain_folder_otherwise(var: str) -> None:
    folder = paths.run_folder(Path(var))
    assert len(str(folder / "site" / "uploads.sock")) <= paths.SOCKET_ADDRESS_BYTES
    assert " " not in str(folder)
    assert '"' not in str(folder)
    assert folder == paths.run_folder(Path(var))
    assert folder != paths.run_folder(Path(var + "2"))


def test_folders_are_private_where_they_must_be(tmp_path: Path) -> None:
    where = paths.Paths(tmp_path, tmp_path / "var", tmp_path / "elsewhere" / "media", tmp_path / "run")
    paths.make_folders(where, site=None, database=None)
    paths.make_folders(where, site=None, database=None)
    modes = {
        where.secrets: 0o700,
        where.valkey: 0o700,
        where.site_sockets: 0o700,
        where.media: 0o750,
        where.static: 0o755,
        where.postgres_sockets: 0o755,
    }
    assert {folder: stat.S_IMODE(folder.stat().st_mode) for folder in modes} == modes


def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    where = paths.Paths(tmp_path, tmp_path / "var", tmp_path / "media", tmp_path / "run")
    (tmp_path / "strange").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "strange")
    with pytest.raises(paths.UnsafeFolder, match="is not a folder"):
        paths.make_folders(where, site=None, database=None)


def test_a_closed_parent_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    tmp_path.chmod(0o711)
    closed.chmod(0o700)
    stranger = accounts.Account("stranger", 54321, 54321)
    found = paths.unreachable_parent(closed / "inner", stranger)
    assert found is not None
    assert found in closed.parents or found == closed
    assert paths.unreachable_parent(closed / "inner", None) is None


def test_state_behind_a_closed_folder_moves_and_leaves_a_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "SHARED", tmp_path / "shared")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    stranger = accounts.Account("stranger", 54321, 54321)

    state = paths.move_closed_state(closed / "var", stranger)

    assert state is not None
    assert state.parent == tmp_path / "shared"
    assert (closed / "var").resolve() == state
    (state / "secrets").mkdir()
    assert paths.move_closed_state(closed / "var", stranger) is None, "the second start finds its state"
    assert paths.move_closed_state(closed / "other", None) is None, "an ordinary user has no other account"


def test_state_that_is_there_is_never_hidden_behind_a_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "SHARED", tmp_path / "shared")
    var = tmp_path / "closed" / "var"
    (var / "media").mkdir(parents=True)
    var.parent.chmod(0o700)
    assert paths.move_closed_state(var, accounts.Account("stranger", 54321, 54321)) is None
    assert not var.is_symlink()


def test_an_ordinary_user_keeps_its_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert accounts.for_site(tmp_path) is None
    assert accounts.for_database(tmp_path) is None


@pytest.mark.usefixtures("as_root")
def test_root_gives_its_rights_up(tmp_path: Path) -> None:
    site = accounts.for_site(tmp_path / "missing")
    database = accounts.for_database(tmp_path / "missing")
    assert site is not None
    assert database is not None
    assert 0 not in {site.uid, database.uid}
    assert site.name in accounts.SITE_ACCOUNTS
    assert database.name in accounts.DATABASE_ACCOUNTS


@pytest.mark.usefixtures("as_root")
def test_the_owner_of_earlier_state_stays_the_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in {0, os.getuid()})
    real = Path.stat

    def owned_by_other(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        fields = list(real(self, follow_symlinks=follow_symlinks))
        fields[4] = other.pw_uid
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", owned_by_other)
    found = accounts.for_site(tmp_path)
    assert found is not None
    assert found.name == pwd.getpwuid(other.pw_uid).pw_name


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("name", "why"), [("no-such-account", "no such account"), ("root", "must not be root")]
)
def test_a_useless_account_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, why: str
) -> None:
    monkeypatch.setenv("VIDEOPROC_USER", name)
    with pytest.raises(accounts.NoAccount, match=why):
        accounts.for_site(tmp_path)
