"""Operations as the site does them: on what the intake found, with the files the wish names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.intake import intake
from engine.segments import Machine, divided
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE

_LIMITS = Limits(threads=2)


def taken_in(source: Path, work_dir: Path) -> MediaInfo:
    """What the site knows of an upload."""
    return intake(source, work_dir, limits=_LIMITS, on_progress=lambda _: None, control=Control()).media


def planned_for(
    type_: str, wish: Mapping[str, object], media: MediaInfo, others: Mapping[str, MediaInfo] | None = None
) -> Plan:
    return plan_for(type_, parameters_for(type_, wish), media, others)


def done(plan: Plan, sources: Mapping[str, Path], work_dir: Path) -> StepResult:
    """The last step's result, after all others."""
    parts: dict[str, Path] = {}
    for step in plan.steps:
        result = execute(
            plan,
            step.position,
            sources=sources,
            parts=parts,
            work_dir=work_dir / f"step-{step.position}",
            limits=_LIMITS,
            on_progress=lambda _: None,
            control=Control(),
        )
        parts |= result.parts
    return result


def made(
    type_: str,
    wish: Mapping[str, object],
    source: Path,
    work_dir: Path,
    others: Mapping[str, Path] | None = None,
    *,
    seconds: float | None = None,
) -> StepResult:
    """The operation, from the upload to the result; in segments of so many `seconds`."""
    media = taken_in(source, work_dir / "look")
    held = {name: taken_in(path, work_dir / name) for name, path in (others or {}).items()}
    plan = planned_for(type_, wish, media, held)
    if seconds is not None:
        plan = divided(plan, media, Machine(cores=2, slots=2), seconds=seconds)
    return done(plan, {SOURCE: source, **(others or {})}, work_dir)
