"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.probe import probe
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from engine.types.results import Progress
from engine.whitelist import UPLOADS
from tests.engine.clips import Clips

# On a busy machine any test may take long.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Perform = Callable[..., StepResult]
MakePlan = Callable[[str, Mapping[str, object], Path], Plan]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def limits() -> Limits:
    return Limits(threads=2, stall_seconds=30)


@pytest.fixture
def look(limits: Limits) -> Callable[[Path], MediaInfo]:
    """Probe a file as an upload."""

    def look(path: Path) -> MediaInfo:
        return probe(path, reading=UPLOADS, limits=limits, control=Control()).media

    return look


@pytest.fixture
def plan(look: Callable[[Path], MediaInfo]) -> MakePlan:
    """Plan an operation on a file."""

    def plan(type_: str, raw: Mapping[str, object], source: Path) -> Plan:
        return plan_for(type_, parameters_for(type_, raw), look(source))

    return plan


@pytest.fixture
def perform(plan: MakePlan, limits: Limits, tmp_path: Path) -> Perform:
    """Really do an operation on a file."""

    def perform(
        type_: str,
        raw: Mapping[str, object],
        source: Path,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        limits: Limits = limits,
        control: Control | None = None,
    ) -> StepResult:
        return execute(
            plan(type_, raw, source),
            0,
            sources={SOURCE: source},
            work_dir=tmp_path / "work",
            limits=limits,
            on_progress=on_progress,
            control=control or Control(),
        )

    return perform
