"""One short run of the chaos suite. The full one, and the proof that it bites, is `bin/chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run

# Another one of each day would be another test each day: what fails must be found again.
SEED, SECONDS = 11, 35.0


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_site_keeps_its_promises_while_it_is_broken(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = run(SEED, SECONDS, tmp_path, said.append)
    assert outcome.violations == [], (tmp_path / "history.jsonl").read_text()[-20_000:]
    assert sum(outcome.hits.values()) > 0
