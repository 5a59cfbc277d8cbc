"""Measures how loud each sound track is, then encodes with filters that know it."""

from __future__ import annotations

from engine.loudness import FILTER, measure_loudness
from engine.procedure import Bench, Findings
from engine.types.recipes import Filter, Run

_HEARD = 0.5


def carry_out(run: Run, bench: Bench) -> Findings:
    """Raises RunFailed("parameters_do_not_fit") for a silent video."""
    tracks = [
        stream
        for file in run.files
        for stream in file.streams
        if any(item.name == FILTER for item in stream.filters)
    ]
    chains: dict[int, tuple[Filter, ...]] = {}
    heard = False
    for number, track in enumerate(tracks):
        share = _HEARD / len(tracks)
        wish = next(item for item in track.filters if item.name == FILTER)
        path, reading = bench.opened(run.inputs[track.input])
        found = measure_loudness(
            path,
            str(track.source_index),
            reading=reading,
            limits=bench.limits,
            control=bench.control,
            meter=bench.meter(run.expected_duration, number * share, (number + 1) * share),
            target=wish.options,
        )
        level = "silence" if found.integrated is None else f"{found.integrated:.1f} LUFS"
        bench.note(f"sound track {number + 1}: {level}", cpu_seconds=found.cpu_seconds)
        heard = heard or found.integrated is not None
        chains[track.source_index] = found.applied(track.filters)
    if not heard:
        reason = "The sound is silent, or too short to have a loudness."
        raise bench.failure("parameters_do_not_fit", reason=reason)
    files = tuple(
        file.model_copy(
            update={
                "streams": tuple(
                    stream.model_copy(update={"filters": chains.get(stream.source_index, stream.filters)})
                    for stream in file.streams
                )
            }
        )
        for file in run.files
    )
    bench.encode(run.model_copy(update={"files": files}), _HEARD, 1.0)
    return Findings()
