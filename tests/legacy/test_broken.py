"""Broken records: each is named with file, place and reason, and everything else comes across."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.legacy.conftest import LegacyTree, Made, Run, film, person
from users.models import User
from users.selectors import user_by_credentials
from users.services import user_register
from videos.models import Operation, Video


def one(reasons: list[str], words: str) -> None:
    assert len(reasons) == 1, reasons
    assert words in reasons[0]


def test_users_of_every_kind(tree: LegacyTree, run: Run, transactional_db: None) -> None:
    user_register(username="taken", email="taken@example.org", password="a long enough password")
    broken: list[Any] = [{"username": "no-id"}, {"id": 1.5, "username": "x"}, {"id": True, "username": "x"}]
    broken += [None, "text", [], {"id": 9, "username": 9}, {"id": -1, "username": "x"}]
    odd = [
        person(20, "Liam"),
        person(21, "liam"),
        person(22, "taken"),
        person(23, "ann@example.org"),
        person(24, "Ann Lee", name=5),
        person(25, "nopass", None),
        person(26, "numpass", 1234),
        person(27, "long", "x" * 2000),
        person(28, "surrogate", "\ud800"),
        person(20, "same-number"),
        person("30", "text-number"),
        person(31, "\x00", name="\ud800\x00"),
        person(20, "Liam"),
    ]
    tree.write("users", broken + odd)
    outcome = run()
    assert outcome.row("users") == {"found": 21, "imported": 12, "broken": 9}
    assert [len(outcome.reasons("broken", "users", index)) for index in range(21)] == [1] * 8 + [0] * 12 + [1]
    one(outcome.reasons("broken", "users", 20), "earlier record")
    names = dict.fromkeys(["Liam", "liam-2", "taken-2", "ann", "Ann_Lee", "text-number"], "secret")
    for name, password in names.items():
        assert user_by_credentials(login=name, password=password) is not None, name
    assert user_by_credentials(login="ann@example.org", password="secret") is not None
    one(outcome.reasons("note", "users", 9), "'liam-2'")
    one(outcome.reasons("note", "users", 11), "works too, as the address")
    for index, name in ((13, "nopass"), (14, "numpass"), (15, "long"), (16, "surrogate")):
        assert any("no usable password" in reason for reason in outcome.reasons("note", "users", index))
        assert not User.objects.get(username=name).has_usable_password()
    again = run()
    assert again.row("users") == {"found": 21, "already here": 12, "broken": 9}


def test_sessions_of_every_kind(tree: LegacyTree, run: Run) -> None:
    tree.write("users", [person(1, "ann")])
    broken = [{"userId": 7, "token": "1"}, {"token": "1"}, {"userId": 1}, {"userId": 1, "token": 5}, 3]
    tree.write("sessions", [*broken, {"userId": 1, "token": "5031580068"}])
    outcome = run()
    assert outcome.row("sessions") == {"found": 6, "skipped": 1, "broken": 5}
    one(outcome.reasons("broken", "sessions", 0), "user 7 is not among the users")


def test_videos_of_every_kind(tree: LegacyTree, made: Made, run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "original.mp4").write_bytes(made.silent.read_bytes())
    tree.write("users", [person(1, "ann")])
    broken = [
        film("../outside"),
        film("good1", extension="mp4/../../x"),
        film("linked"),
        film("nobody", user_id=77),
        film("nofile"),
        film("empty"),
        film("text"),
        film("cut"),
        {"id": 1},
        film(5),
        film("bool-owner", user_id=True),
        "text",
        film("folder-linked"),
    ]
    good = [
        film("upper", extension="MOV"),
        film("strange", name=5, extractedAudio="yes", resizes=[], conversions=None),
        film("upper"),
    ]
    tree.write("videos", broken + good)
    storage = tree.folder / "storage"
    for name in ("good1", "nobody"):
        tree.put(name, original_mp4=made.silent)
    tree.put("linked")
    (storage / "linked" / "original.mp4").symlink_to(secret / "original.mp4")
    (storage / "folder-linked").symlink_to(secret)
    tree.put("empty", original_mp4=b"")
    tree.put("text", original_mp4=b"#EXTM3U\nfile:///etc/passwd\n")
    tree.put("cut", original_mp4=made.source.read_bytes()[:20_000])
    tree.put("upper", original_mov=made.silent)
    tree.put("strange", original_mp4=made.silent, notes_txt=b"mine")
    tree.put("orphan", original_mp4=made.silent)
    outcome = run()
    assert outcome.row("videos") == {"found": 16, "imported": 2, "broken": 14}
    for index in (*range(13), 15):
        assert len(outcome.reasons("broken", "videos", index)) == 1, index
    one(outcome.reasons("broken", "videos", 2), "storage")
    one(outcome.reasons("broken", "videos", 3), "user 77")
    one(outcome.reasons("broken", "videos", 15), "same videoId as record 13")
    assert set(Video.objects.values_list("name", flat=True)) == {"Film upper", "strange"}
    assert len(outcome.reasons("note", "videos", 14)) == 4
    one(outcome.reasons("skipped", "storage/orphan"), "no record")
    one(outcome.reasons("skipped", "storage/strange/notes.txt"), "no record")
    again = run()
    assert again.row("videos") == {"found": 16, "already here": 2, "broken": 14}
    assert not again.report["changed"]
    tree.put("nofile", original_mp4=made.silent)
    mended = run()
    assert mended.row("videos") == {"found": 16, "imported": 1, "already here": 2, "broken": 13}
    assert mended.report["backup_is_new"]


def test_results_of_every_kind(tree: LegacyTree, made: Made, run: Run, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_bytes(made.mov.read_bytes())
    tree.write("users", [person(1, "ann")])
    tree.write(
        "videos",
        [
            film(
                "v",
                extractedAudio=True,
                resizes={
                    "../../x": {"processing": False},
                    "160x90": {"processing": False},  # another size in the file
                    "10x10": {"processing": False},  # smaller than is allowed
                    "100x56": True,
                },
                conversions={
                    "../mov": {"completed": True},
                    "exe": {"completed": True},
                    "mov": {"completed": True},  # a symbolic link
                    "mkv": {"completed": True},  # another kind of file
                    "webm": {"completed": True},  # no file
                    "MOV": {"completed": True},  # the same again
                },
            ),
            film("silent", extractedAudio=True),
        ],
    )
    tree.put("v", original_mp4=made.source, audio_aac=b"", converted_mkv=made.webm, x160x90_mp4=made.source)
    tree.put("silent", original_mp4=made.silent)
    (tree.folder / "storage" / "v" / "converted.mov").symlink_to(tmp_path / "passwd")
    dry = run("--dry-run")
    outcome = run()
    assert dry.report["counts"] == outcome.report["counts"]
    assert outcome.row("videos") == {"found": 2, "imported": 2}
    assert outcome.row("audio") == {"found": 2, "queued": 1, "broken": 1}
    assert outcome.row("resizes") == {"found": 4, "queued": 1, "broken": 3}
    assert outcome.row("conversions") == {"found": 6, "queued": 3, "broken": 3}
    assert set(Operation.objects.values_list("status", flat=True)) == {"pending"}


@pytest.mark.parametrize("name", ["sessions", "videos"])
def test_a_missing_file_is_told_and_the_rest_comes(tree: LegacyTree, run: Run, name: str) -> None:
    tree.write("users", [person(1, "ann")])
    (tree.folder / "data" / name).unlink()
    outcome = run()
    assert outcome.row("users") == {"found": 1, "imported": 1}
    one(outcome.reasons("broken", name), "missing")


def test_cut_off_files_give_what_is_whole(tree: LegacyTree, made: Made, run: Run) -> None:
    tree.write("users", '[{"id":1,"username":"ann","password":"secret"},{"id":2,"usern')
    tree.write("sessions", "\x00\x01")
    tree.write("videos", '[{"videoId":"v","extension":"mp4","userId":1},{"videoId":oops},{"videoId":"w"')
    tree.put("v", original_mp4=made.silent)
    outcome = run()
    assert outcome.row("users") == {"found": 2, "imported": 1, "broken": 1}
    assert outcome.row("sessions") == {"found": 1, "broken": 1}
    assert outcome.row("videos") == {"found": 3, "imported": 1, "broken": 2}
    assert Video.objects.get().name == "v"
