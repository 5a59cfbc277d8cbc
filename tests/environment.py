"""Loaded by pytest before Django's settings (`-p tests.environment`): a site of its own for every run.

The servers come from outside: `bin/test` starts them and sets DATABASE_URL and REDIS_URL.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_var = tempfile.mkdtemp(prefix="videoproc-tests-")
atexit.register(shutil.rmtree, _var, ignore_errors=True)
Path(_var, "static").mkdir()  # WhiteNoise warns where it is missing
os.environ["VIDEOPROC_VAR"] = _var
os.environ["VIDEOPROC_SECRET_KEY"] = "for-tests-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMN"
for _name in ("VIDEOPROC_MEDIA", "VIDEOPROC_PUBLIC_URL", "VIDEOPROC_ALLOWED_HOSTS", "PORT"):
    os.environ.pop(_name, None)
