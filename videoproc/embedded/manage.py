"""`bin/manage COMMAND …`: a Django command with the settings, servers and account of the running site."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from videoproc.embedded import accounts, paths

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str]) -> None:
    """Become the command. The site must be running, unless DATABASE_URL and REDIS_URL name servers."""
    where = paths.paths_from_environment(ROOT)
    secret_files = {
        "VIDEOPROC_SECRET_KEY": where.secrets / "secret_key",
        "DATABASE_URL": where.secrets / "database_url",
        "REDIS_URL": where.secrets / "redis_url",
    }
    for name, file in secret_files.items():
        if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
            os.environ[f"{name}_FILE"] = str(file)
    os.environ["VIDEOPROC_VAR"] = str(where.var)
    os.environ["DJANGO_SETTINGS_MODULE"] = "videoproc.settings"
    account = accounts.for_site(where.secrets)
    if account is not None:
        # What the command writes must belong to the site, not to root.
        os.environ["HOME"] = str(where.home)
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
    os.umask(0o027)
    os.execv(sys.executable, [sys.executable, "-m", "django", *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
