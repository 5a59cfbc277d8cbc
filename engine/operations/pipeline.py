"""pipeline: several operations one after the other, in one run wherever that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine import catalogue
from engine.chaining import Chain, appended, finished, is_open, parted, reading
from engine.operation import Holds, OperationType
from engine.parameters import Parameters
from engine.promises import promise_of
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from problems import Problem

_TYPE = "pipeline"
_MOST_STEPS = 10


class PipelineStep(BaseModel):
    """One operation with its own parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(max_length=64, title="Type", description="The type of an operation.")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        title="Parameters",
        description="Those of the operation.",
    )

    @field_validator("type")
    @classmethod
    def _is_known(cls, type_: str) -> str:
        possible = sorted(
            name for name, operation in catalogue.operations().items() if name != _TYPE and operation.chained
        )
        if type_ not in possible:
            known = ", ".join(possible)
            raise PydanticCustomError("not_a_choice", "Must be one of {known}.", {"known": known})
        return type_

    @field_validator("parameters")
    @classmethod
    def _fit_the_operation(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        operation = catalogue.operations().get(info.data.get("type", ""))
        if operation is None:
            return parameters
        # Its errors keep their places: pydantic puts them below this one.
        return catalogue.normalised(operation.Parameters.model_validate(parameters))


class PipelineParameters(Parameters):
    """Each step works on what the one before it makes."""

    steps: Annotated[tuple[PipelineStep, ...], Field(max_length=_MOST_STEPS)] = Field(
        title="Steps",
        description=(
            "Operations in their order, each as an object with `type` and `parameters`. Operations that do "
            "not make one video, such as thumbnail or hls, can only be the last."
        ),
        examples=[
            [{"type": "trim", "parameters": {"end": 10}}, {"type": "resize", "parameters": {"width": 640}}]
        ],
    )

    @field_validator("steps")
    @classmethod
    def _has_some(cls, steps: tuple[PipelineStep, ...]) -> tuple[PipelineStep, ...]:
        if not steps:
            raise PydanticCustomError("required", "Name at least one step.")
        return steps


def _others(parameters: PipelineParameters) -> Mapping[str, Holds]:
    named: dict[str, Holds] = {}
    for step in parameters.steps:
        named |= catalogue.others_for(step.type, catalogue.parameters_for(step.type, step.parameters))
    return named


def _plan(parameters: PipelineParameters, media: MediaInfo, others: Mapping[str, MediaInfo]) -> Plan:
    chain: Chain | None = None
    summaries = []
    for number, step in enumerate(parameters.steps, 1):
        if chain is None:
            plan = _planned(number, step, media, others)
            chain = Chain(source=media, plan=plan)
        else:
            if not is_open(chain.plan):
                title = catalogue.operation_for(parameters.steps[number - 2].type).title
                reason = (
                    f"Step {number - 1} ({title}) can only be the last: it does not make one video, adds to "
                    "it from elsewhere, or its length and size are known only when it is done."
                )
                raise Problem("parameters_do_not_fit", reason=reason)
            promise = promise_of(chain.plan, chain.source)
            plan = _planned(number, step, promise, others)
            longer = appended(chain, plan)
            if longer is None:
                chain, part = parted(chain, promise)
                plan = _planned(number, step, chain.source, others)
                longer = reading(chain, plan, part)
            chain = longer
        summaries.append(f"{number}. {catalogue.operation_for(step.type).title}: {plan.summary}")
    assert chain is not None  # noqa: S101 - there is at least one step
    way = "All in one pass."
    if chain.parts:
        way = f"In {chain.passes} passes, with a copy of nearly no loss between them."
    return finished(chain, _TYPE, " ".join([*summaries, way]))


def _planned(number: int, step: PipelineStep, media: MediaInfo, others: Mapping[str, MediaInfo]) -> Plan:
    try:
        parameters = catalogue.parameters_for(step.type, step.parameters)
        return _in_one_run(catalogue.plan_for(step.type, parameters, media, others))
    except Problem as problem:
        title = catalogue.operation_for(step.type).title
        reason = f"Step {number} ({title}): {problem.detail}"
        raise Problem("parameters_do_not_fit", reason=reason) from None


def _in_one_run(plan: Plan) -> Plan:
    """The plan by its sure way: a quick one of many runs cannot be put together with others."""
    steps = tuple(
        step.model_copy(update={"runs": step.otherwise, "otherwise": ()}) if step.otherwise else step
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


OPERATION = OperationType(
    type=_TYPE,
    title="Pipeline",
    description="Do several operations one after the other, in one pass wherever possible.",
    icon="workflow",
    Parameters=PipelineParameters,
    plan=_plan,
    others=_others,
    form=False,
)
