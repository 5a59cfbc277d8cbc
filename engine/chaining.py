"""Plans one after the other as one plan: each works on what the one before promises.

No operation knows of this. The promise keeps the numbers of the source's streams, so that a recipe made for
it reads the source itself once the filters of the recipe before are put in front. Where two plans cannot
become one run, the first writes a part of nearly no loss, and the second reads that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine import loudness
from engine.promises import lasts, loosened, promised
from engine.ranges import lead_at
from engine.types.media import MediaInfo
from engine.types.plan import Lane, OutputPlan, Plan, StepPlan, StreamDecision
from engine.types.recipes import FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar

# Filters that move or count moments: what is cut away before them changes what they do.
_TIMED = frozenset({"setpts", "asetpts", "fps", "atempo", "tpad", "ass"})
_CUT = ("ss", "t", "avoid_negative_ts")
# Options that bring an encoder near to no loss, for pictures that are encoded again.
_FINEST: Mapping[str, Mapping[str, Scalar]] = {
    "libx264": {"crf": 8, "preset": "veryfast"},
    "libx265": {"crf": 10},
    "libvpx-vp9": {"crf": 10},
    "libsvtav1": {"crf": 15},
    "mpeg4": {"q": 1},
}
_FINEST_SOUND = "320k"


@dataclass(frozen=True, slots=True)
class Chain:
    """What is planned so far: runs that write parts, then `plan`, whose only run makes the result.

    `source` is the file that `plan` reads, the source or a part; `origins` then has the source's stream for
    each of the part's.
    """

    source: MediaInfo
    plan: Plan
    parts: tuple[Run, ...] = ()
    origins: Mapping[int, int] | None = None
    decisions: tuple[StreamDecision, ...] = ()

    @property
    def passes(self) -> int:
        return len(self.parts) + 1


def is_open(plan: Plan) -> bool:
    """Whether another operation can follow: the plan makes one video file in one run of one step."""
    runs = [run for step in plan.steps for run in step.runs]
    if len(runs) != 1 or len(runs[0].files) != 1 or len(plan.outputs) != 1:
        return False
    (output,) = plan.outputs
    if any(stream.input for stream in runs[0].files[0].streams):
        return False  # a promise knows the streams of the video alone
    if runs[0].procedure is not None and runs[0].procedure.name != "loudness":
        return False  # what it finds goes into the promise, too late for what follows
    moving = any(stream.kind == "video" for stream in output.expectation.streams)
    return moving and not output.members and not output.expectation.picture and output.container != "gif"


def appended(chain: Chain, following: Plan) -> Chain | None:
    """The chain with a plan made for its promise, in the same run; None where that needs a part between."""
    joined = _joined(chain, following)
    return None if joined is None else replace(chain, plan=joined)


def parted(chain: Chain, promise: MediaInfo) -> tuple[Chain, str]:
    """The chain with its plan's file as a part, and the part's name.

    `source` is then the promise as that part is numbered; the plan that is to follow is made for it and put
    in with `reading`.
    """
    (output,) = chain.plan.outputs
    run = chain.plan.steps[0].runs[0]
    (file,) = run.files
    name = f"pass-{chain.passes}.{output.extension}"
    part = FileRecipe(
        part=name,
        muxer=file.muxer,
        streams=tuple(map(_finest, file.streams)),
        options=file.options,
        chapters=file.chapters,
    )
    origins = dict(enumerate(_origin(chain, stream.source_index) for stream in file.streams))
    numbers = {stream.source_index: number for number, stream in enumerate(file.streams)}
    numbered = {
        kind: tuple(
            stream.model_copy(update={"index": numbers[stream.index]}) for stream in getattr(promise, kind)
        )
        for kind in ("video", "audio", "subtitles")
    }
    longer = replace(
        chain,
        source=promise.model_copy(update=numbered),
        parts=(*chain.parts, run.model_copy(update={"files": (part,)})),
        origins=origins,
        decisions=_told(chain),
    )
    return longer, name


def reading(chain: Chain, following: Plan, part: str) -> Chain:
    """The chain with a plan that reads the part."""
    steps = tuple(
        step.model_copy(
            update={
                "runs": tuple(run.model_copy(update={"inputs": _of_part(run, part)}) for run in step.runs)
            }
        )
        for step in following.steps
    )
    outputs = tuple(loosened(output, chain.plan.outputs[0]) for output in following.outputs)
    seconds = (chain.plan.estimated_seconds or 0.0) + (following.estimated_seconds or 0.0)
    following = following.model_copy(
        update={"steps": steps, "outputs": outputs, "estimated_seconds": round(seconds, 1)}
    )
    return replace(chain, plan=following)


def finished(chain: Chain, operation: str, summary: str) -> Plan:
    """The chain as the plan of one step."""
    runs = (*chain.parts, *(run for step in chain.plan.steps for run in step.runs))
    encodes = any(step.lane is Lane.ENCODE for step in chain.plan.steps) or bool(chain.parts)
    step = StepPlan(
        position=0,
        kind="encode" if encodes else chain.plan.steps[0].kind,
        lane=Lane.ENCODE if encodes else Lane.SHORT,
        runs=runs,
    )
    outputs = tuple(map(_on_its_own, chain.plan.outputs))
    return chain.plan.model_copy(
        update={
            "operation": operation,
            "summary": summary,
            "steps": (step,),
            "streams": _told(chain),
            "outputs": outputs,
        }
    )


def _on_its_own(output: OutputPlan) -> OutputPlan:
    """The output compared with nothing: its moments are not those of the source any more."""
    expected = output.expectation.model_copy(update={"origin": None})
    return output.model_copy(update={"expectation": expected})


# ------------------------------------------------------------------------------------- two plans, one run


def _joined(chain: Chain, following: Plan) -> Plan | None:
    earlier = chain.plan
    first = earlier.steps[0].runs[0]
    runs: list[Run] = []
    for step in following.steps:
        for run in step.runs:
            one = _joined_run(chain, first, run, same_length=lasts(earlier, following))
            if one is None:
                return None
            runs.append(one)
    if len(following.steps) != 1:
        return None
    encodes = any(
        stream.action == "encode" and stream.kind != "subtitle"
        for run in runs
        for file in run.files
        for stream in file.streams
    )
    still = following.steps[0].kind
    kind = still if still not in ("encode", "remux") else "encode" if encodes else "remux"
    longest = Lane.ENCODE if Lane.ENCODE in (earlier.steps[0].lane, following.steps[0].lane) else Lane.SHORT
    outputs = tuple(promised(output, earlier, following) for output in following.outputs)
    return following.model_copy(
        update={
            "steps": (StepPlan(position=0, kind=kind, lane=longest, runs=tuple(runs)),),
            "streams": _merged(earlier.streams, following.streams),
            "outputs": outputs,
            "estimated_seconds": max(earlier.estimated_seconds or 0.0, following.estimated_seconds or 0.0),
        }
    )


def _joined_run(chain: Chain, first: Run, run: Run, *, same_length: bool) -> Run | None:
    """The run that does what both do, reading what the first reads; None where there is none."""
    (before,) = first.files
    if len(first.inputs) != 1 or len(run.inputs) != 1 or not _plain(first) or not _plain(run):
        return None
    if run.procedure is not None and (first.procedure is not None or _touches(first, run.procedure.name)):
        return None
    if first.lettering is not None and run.lettering is not None:
        return None
    cut = _cut(chain, first, run, before, same_length=same_length)
    if cut is None:
        return None
    item, options = cut
    recipes = {stream.source_index: stream for stream in before.streams}
    taken = {*run.texts, *run.pictures}
    names = {name: f"earlier-{name}" for name in (*first.texts, *first.pictures) if name in taken}
    files = []
    for file in run.files:
        streams = []
        for stream in file.streams:
            one = _joined_stream(recipes.get(stream.source_index), stream, names)
            if one is None:
                return None
            streams.append(one)
        files.append(
            file.model_copy(update={"streams": tuple(streams), "options": {**file.options, **options}})
        )
    listens = any(
        item.name == loudness.FILTER for file in files for stream in file.streams for item in stream.filters
    )
    return run.model_copy(
        update={
            "inputs": (item,),
            "files": tuple(files),
            "texts": {**{names.get(name, name): text for name, text in first.texts.items()}, **run.texts},
            "pictures": {
                **{names.get(name, name): source for name, source in first.pictures.items()},
                **run.pictures,
            },
            "lettering": run.lettering or first.lettering,
            "font": first.font or run.font,
            "procedure": run.procedure or (first.procedure if listens else None),
        }
    )


def _plain(run: Run) -> bool:
    """Whether its times are those of one file that begins at 0."""
    (item,) = run.inputs
    own_times = run.source_times or item.one_clock or bool(item.shift)
    return not (own_times or item.as_stored or item.silence is not None)


def _touches(first: Run, procedure: str) -> bool:
    """Whether the procedure would measure something else than what the run before makes of it."""
    (item,) = first.inputs
    (file,) = first.files
    cut = item.start is not None or item.length is not None
    kinds = {"audio"} if procedure == "loudness" else {"video", "audio"}
    changed = [stream for stream in file.streams if stream.kind in kinds and stream.action == "encode"]
    return cut or bool(changed)


def _cut(
    chain: Chain, first: Run, run: Run, before: FileRecipe, *, same_length: bool
) -> tuple[Input, dict[str, Scalar]] | None:
    """What is read of the source, and what the files are told of it."""
    earlier, later = first.inputs[0], run.inputs[0]
    kept: dict[str, Scalar] = {key: before.options[key] for key in _CUT if key in before.options}
    if later.start is None and later.length is None:
        if not same_length:
            # Counted on the result's timeline, which another speed has changed.
            if "ss" in kept:
                return None
            kept.pop("t", None)
        if "ss" in kept and any(_is_timed(item) for file in run.files for item in _filters(file)):
            return None  # what is thrown away before the part would count
        return earlier, kept
    timed = any(map(_is_timed, _filters(before)))
    if timed or earlier.from_key_frame or (later.from_key_frame and earlier.start is not None):
        return None
    if later.from_key_frame:
        return later.model_copy(update={"parts": earlier.parts, "source": earlier.source}), {}
    own = {key: value for file in run.files for key, value in file.options.items() if key in ("ss", "t")}
    skipped = float(own.get("ss", 0))
    begin = (earlier.start or 0.0) + float(kept.get("ss", 0)) + (later.start or 0.0) + skipped
    length = None if later.length is None else later.length - skipped
    lead = 0.0 if earlier.parts else lead_at(begin, chain.source)
    options: dict[str, Scalar] = {} if length is None else {"t": f"{length:.3f}"}
    if lead or "ss" in own:
        options["ss"] = f"{lead:.3f}"
    ask = {
        "start": round(begin - lead, 3),
        "length": None if length is None else round(length + lead, 3),
    }
    return earlier.model_copy(update=ask), options


def _filters(file: FileRecipe) -> list[Filter]:
    return [item for stream in file.streams for item in stream.filters]


def _is_timed(item: Filter) -> bool:
    return item.name in _TIMED or "enable" in item.options


def _joined_stream(
    earlier: StreamRecipe | None, later: StreamRecipe, names: Mapping[str, str]
) -> StreamRecipe | None:
    if earlier is None or earlier.kind != later.kind:
        return None
    listens = any(item.name == loudness.FILTER for item in later.filters)
    if listens and (earlier.filters or earlier.action == "encode"):
        # What is measured has to be what is changed.
        return None
    if earlier.action == "copy":
        carried = {key: value for key, value in earlier.options.items() if key != "tag"}
        options = {**carried, **later.options} if later.action == "copy" else later.options
        return later.model_copy(update={"options": options})
    filters = tuple(_renamed(item, names) for item in earlier.filters)
    if later.action == "copy":
        return later.model_copy(
            update={
                "action": "encode",
                "encoder": earlier.encoder,
                "filters": filters,
                "options": {
                    **{key: value for key, value in earlier.options.items() if key != "tag"},
                    **later.options,
                },
            }
        )
    return later.model_copy(update={"filters": (*filters, *later.filters)})


def _renamed(item: Filter, names: Mapping[str, str]) -> Filter:
    """Links and files of an earlier filter, by names that no later one uses."""
    return item.model_copy(
        update={
            "takes": tuple(f"earlier_{link}" for link in item.takes),
            "gives": tuple(f"earlier_{link}" for link in item.gives),
            "options": {
                key: names.get(value, value) if isinstance(value, str) else value
                for key, value in item.options.items()
            },
        }
    )


# ------------------------------------------------------------------------------------------------- parts


def _finest(stream: StreamRecipe) -> StreamRecipe:
    if stream.action == "copy" or stream.encoder is None:
        return stream
    if stream.kind == "video":
        wish = _FINEST.get(stream.encoder, {})
        kept = {key: value for key, value in stream.options.items() if key not in ("maxrate", "bufsize", "b")}
        return stream.model_copy(update={"options": {**kept, **wish}})
    if "b" in stream.options:
        return stream.model_copy(update={"options": {**stream.options, "b": _FINEST_SOUND}})
    return stream


def _of_part(run: Run, part: str) -> tuple[Input, ...]:
    return (run.inputs[0].model_copy(update={"parts": (part,)}), *run.inputs[1:])


# --------------------------------------------------------------------------------------------- decisions


def _origin(chain: Chain, index: int) -> int:
    return index if chain.origins is None else chain.origins[index]


def _told(chain: Chain) -> tuple[StreamDecision, ...]:
    """All decisions so far, about the source's streams."""
    if chain.origins is None:
        return chain.plan.streams
    named = tuple(
        one.model_copy(update={"source_index": _origin(chain, one.source_index)})
        for one in chain.plan.streams
        if one.source_index in chain.origins
    )
    return _merged(chain.decisions, named)


def _merged(
    earlier: tuple[StreamDecision, ...], later: tuple[StreamDecision, ...]
) -> tuple[StreamDecision, ...]:
    """One decision for each stream, with the reasons of both."""
    following = {one.source_index: one for one in later}
    merged = []
    for one in earlier:
        other = following.get(one.source_index)
        if one.action == "drop" or other is None or (other.action == "copy" and one.action == "encode"):
            merged.append(one)
        elif one.action == "copy" or other.action == "drop":
            merged.append(other)
        else:
            merged.append(other.model_copy(update={"why": f"{one.why} Then: {other.why}"}))
    return tuple(merged)
