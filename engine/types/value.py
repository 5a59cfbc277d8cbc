"""What all values that cross the engine's border have in common.

All are frozen pydantic models that survive a round trip through JSON, because they are stored with the rows
of other floors. Unknown keys are ignored when reading, so a row written by a newer version can still be read.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Scalar = str | int | float


class Value(BaseModel):
    """Base of every value here: frozen, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
