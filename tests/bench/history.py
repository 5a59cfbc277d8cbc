"""`bin/bench history`: server time of every list and every statistic over a long history of jobs.

Fills a throw-away site with COPY: a tenth of the rows first, then all (`VIDEOPROC_BENCH_JOBS`, 10 million
jobs; a tenth as many videos). As many jobs a day both times: a history that is ten times as long. A case is
good where its 95th percentile is under its target, and its median under twice that of the tenth.

Server time is that of a whole request, in Django and in PostgreSQL, with warm caches: processor time, and
what PostgreSQL waits for its disk, but not what either waits for a processor that others use. Prints a table,
writes var/bench/history.json and the plans of all queries to var/bench/history-plans/.

`--keep DIR` leaves the filled databases there (20 GB for 10 million jobs); `--reuse DIR` measures them again
after the migrations that came since, best within a day: periods end now, and no rows come any more.
`--only TEXT` measures the cases whose names contain it, and `--size tenth|whole` one of both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from videoproc.embedded.servers import test_servers

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "import django; django.setup(); from tests.bench.history_site.run import main; main()"
WHOLE, TENTH = "videoproc", "history_tenth"


# For the fill alone; what queries may use is as on a site. The bench vacuums and analyzes by itself.
SETTINGS = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "wal_level": "minimal", "max_wal_senders": "0",
            "autovacuum": "off"}  # fmt: skip


def main() -> int:
    asked = _arguments()
    with test_servers(settings=SETTINGS, keep=asked.keep or asked.reuse) as urls:
        environment = {
            **os.environ,
            "DATABASE_URL": urls.database,
            "REDIS_URL": urls.redis,
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
            "VIDEOPROC_SECRET_KEY": "for-benchmarks-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
            "VIDEOPROC_ALLOWED_HOSTS": "testserver",
        }
        if asked.reuse is None:
            _inside(environment, "fill", TENTH)
        for name, size in ((TENTH, "tenth"), (WHOLE, "whole")):
            if asked.size in {size, None}:
                one = environment | {"DATABASE_URL": urls.database.replace(f"/{WHOLE}?", f"/{name}?")}
                _inside(one, "measure", size, asked.only)
        return _inside(environment, "report", asked.only, check=False) if asked.size is None else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench history")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", type=_folder, metavar="DIR", help="leave the filled databases here")
    kept.add_argument("--reuse", type=_folder, metavar="DIR", help="measure those that --keep left")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    parser.add_argument("--size", choices=("tenth", "whole"), help="measure one of both")
    return parser.parse_args()


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _inside(environment: dict[str, str], *arguments: str, check: bool = True) -> int:
    """Runs a part of the bench inside of Django; a process each, for each database."""
    argv = [sys.executable, "-c", INSIDE, *arguments]
    return subprocess.run(argv, check=check, env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
