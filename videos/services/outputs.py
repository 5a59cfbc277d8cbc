"""Outputs: files first, then the rows that show them.

A worker places its files before the transaction that finishes its step, and records them in it. If it
lost its lease meanwhile, it takes the files back; if it dies in between, the sweep does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from engine.types.results import Artifact
from users.ids import public_id_new
from videos import storage
from videos.models import Operation, Output, Video
from videos.names import download_name


@dataclass(frozen=True, slots=True)
class PlacedOutput:
    """A result whose file is at its final place under `output_id`, without a row so far."""

    output_id: str
    artifact: Artifact


def outputs_place(*, artifacts: Iterable[Artifact]) -> tuple[PlacedOutput, ...]:
    """Move results to their final places, durably. Takes back what it moved if one of them fails."""
    placed: list[PlacedOutput] = []
    try:
        for artifact in artifacts:
            output_id = public_id_new("out")
            placed.append(PlacedOutput(output_id, artifact))
            if artifact.members:
                storage.adopt_folder(artifact.path, output_id)
            else:
                storage.adopt(artifact.path, storage.output_path(output_id))
    except OSError:
        outputs_unplace(placed=placed)
        raise
    return tuple(placed)


@transaction.atomic(savepoint=False)
def outputs_record(*, operation: Operation, placed: Sequence[PlacedOutput], video: Video) -> list[Output]:
    """Show placed results: one row each, in place of what an earlier run of the operation had left.

    Call it in the transaction that completes the operation. Files of replaced rows go after the commit.
    """
    earlier = Output.objects.filter(operation=operation)
    replaced = list(earlier.values_list("pk", flat=True))
    if replaced:
        earlier.delete()
    for output_id in replaced:
        transaction.on_commit(lambda output_id=output_id: storage.output_discard(output_id))  # type: ignore[misc]  # binds this turn's id
    return Output.objects.bulk_create(
        [_row(operation, one, video=video, alone=len(placed) == 1) for one in placed]
    )


def outputs_unplace(*, placed: Iterable[PlacedOutput]) -> None:
    """Remove placed files that will get no row."""
    for one in placed:
        storage.output_discard(one.output_id)


def _row(operation: Operation, placed: PlacedOutput, *, video: Video, alone: bool) -> Output:
    artifact = placed.artifact
    what = operation.type.replace("_", " ")
    suffix = what if alone or artifact.role == operation.type else f"{what} {artifact.role}"
    return Output(
        pk=placed.output_id,
        operation=operation,
        role=artifact.role,
        filename=download_name(video.name, extension=artifact.extension, suffix=suffix),
        content_type=artifact.content_type,
        size=artifact.size,
        sha256=artifact.sha256,
        media_info=artifact.media_info.model_dump(mode="json") if artifact.media_info else None,
        verification=artifact.verification.model_dump(mode="json"),
        members=[member.model_dump(mode="json") for member in artifact.members],
    )
