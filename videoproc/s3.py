"""How the site talks to a bucket."""

from __future__ import annotations

from botocore.config import Config

S3_CLIENT = Config(
    # Some servers answer the older signature, which is the default for addresses, with 403.
    signature_version="s3v4",
    # The bucket in the path: then the host that is signed is that of the endpoint.
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=60,
    retries={"total_max_attempts": 4, "mode": "standard"},
)
