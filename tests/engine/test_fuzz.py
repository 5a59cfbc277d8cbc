"""Five hundred damaged files: no crash, no hang, nothing left behind, and codes that blame the file."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.engine.clips import Clips
from tests.engine.fuzz import CLEAN, DAMAGED, bad, damaged, open_now, run, seeds

FILES = 500


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute and a half on an idle machine with two processors
def test_five_hundred_damaged_files(tmp_path: Path) -> None:
    children, descriptors = open_now()
    endings = run(FILES, 20261123, folder=tmp_path)
    assert [ending for ending in endings if bad(ending)] == []
    codes = Counter(ending.code for ending in endings)
    assert len(codes) > 4, "the damage is of many kinds"
    assert codes[CLEAN] + codes[DAMAGED] > len(endings) // 10, "and some of it is small"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert open_now() == (children, descriptors)


def test_the_same_seed_does_the_same_damage(clips: Clips) -> None:
    whole = seeds(clips)["mp4"]
    one, same, other = (damaged(whole, random.Random(seed)) for seed in ("7-1", "7-1", "7-2"))  # noqa: S311
    assert one == same
    assert one != other
