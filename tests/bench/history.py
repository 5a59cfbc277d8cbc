"""`bin/bench history`: server time of every list and every statistic over a long history of jobs.

Fills a throw-away site with COPY: a tenth of the rows first, then all (`VIDEOPROC_BENCH_JOBS`, 10 million
jobs; a tenth as many videos). As many jobs a day both times: a history that is ten times as long. A case is
good where its 95th percentile is under its target, and its median under twice that of the tenth.

Server time is that of a whole request, in Django and in PostgreSQL, with warm caches: processor time, and
what PostgreSQL waits for its disk, but not what either waits for a processor that others use. Prints a table,
writes var/bench/history.json and the plans of all queries to var/bench/history-plans/.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from videoproc.embedded.servers import test_servers

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "import django; django.setup(); from tests.bench.history_site.run import main; main()"


# For the fill alone; what queries may use is as on a site. The bench vacuums and analyzes by itself.
SETTINGS = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "wal_level": "minimal", "max_wal_senders": "0",
            "autovacuum": "off"}  # fmt: skip


def main() -> int:
    with test_servers(settings=SETTINGS) as urls:
        environment = {
            **os.environ,
            "DATABASE_URL": urls.database,
            "REDIS_URL": urls.redis,
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
            "VIDEOPROC_SECRET_KEY": "for-benchmarks-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
            "VIDEOPROC_ALLOWED_HOSTS": "testserver",
        }
        return subprocess.run(
            [sys.executable, "-c", INSIDE], check=False, env=environment, cwd=ROOT
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
