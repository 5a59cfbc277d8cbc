"""What a file or a run may use."""

from __future__ import annotations

from pydantic import Field

from engine.types.value import Value


class Limits(Value):
    """What a single file or run may use. The defaults suit files from strangers."""

    max_pixels: int = Field(default=35_389_440, description="Pixels in one picture; 8192x4320.")
    max_streams: int = 32
    max_duration: float = Field(default=86_400.0, description="Seconds.")
    max_frame_rate: float = 300.0
    max_output_bytes: int = 64 * 1024**3
    memory_bytes: int = Field(default=6 * 1024**3, description="Address space of one process.")
    max_alloc_bytes: int = Field(default=512 * 1024**2, description="One allocation inside ffmpeg.")
    open_files: int = 64
    threads: int = 2
    nice: int = 10
    stall_seconds: float = Field(default=60.0, description="Ended after so long without progress.")
    probe_seconds: float = Field(default=60.0, description="Wall time one probe may take.")
    log_bytes: int = Field(default=65_536, description="How much of the tools' messages is kept.")
