"""The processes of a site: command lines, readiness, and the environment they share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from videoproc.embedded import caddy, postgres, valkey
from videoproc.embedded.accounts import Account
from videoproc.embedded.answers import Question
from videoproc.embedded.paths import Paths
from videoproc.embedded.supervisor import Service

# Connections to PostgreSQL that one process may hold at most; together well under max_connections.
POOLS = {"web": 20, "uploads": 10, "worker-short": 4, "worker-encode": 4, "beat": 1}
# While Django's processes load, they compete for the processor: the first page goes first, the edge makes
# requests for the others wait.
FIRST_PAGE = ("web",)
FIRST_FREE_PORT = 1024  # below it an ordinary account may not listen
# Names of variables that make Python look elsewhere for its modules; ours must not inherit them.
PYTHON_OVERRIDES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Site:
    """All that the processes of one site need to know."""

    paths: Paths
    account: Account | None
    host: str
    port: int
    public_url: str
    database_url: str
    redis_url: str

    @property
    def public_host(self) -> str:
        """Value of the Host header that the site answers to."""
        return urlsplit(self.public_url).netloc

    @property
    def local_url(self) -> str:
        """Where this machine reaches the edge."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - compared only
        return f"http://{host}:{self.port}"

    def environment(self, process: str) -> dict[str, str]:
        """What every process of the site gets, with the name it shows in PostgreSQL's list."""
        inherited = {name: value for name, value in os.environ.items() if name not in PYTHON_OVERRIDES}
        paths = self.paths
        programs = Path(sys.executable).parent
        return {
            **inherited,
            "VIDEOPROC_VAR": str(paths.var),
            "VIDEOPROC_MEDIA": str(paths.media),
            "VIDEOPROC_PROCESS": process,
            "VIDEOPROC_DB_POOL": os.environ.get("VIDEOPROC_DB_POOL") or str(POOLS.get(process, 5)),
            "VIDEOPROC_PUBLIC_URL": self.public_url,
            "VIDEOPROC_SECRET_KEY_FILE": str(paths.secrets / "secret_key"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
            "PORT": str(self.port),
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            # The account often may not write beside the code; set-up compiled it already.
            **({"PYTHONDONTWRITEBYTECODE": "1"} if self.account else {}),
            **self._home(),
        }

    def plain_environment(self) -> dict[str, str]:
        """For programs that are not ours: nothing of what the site keeps secret."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "REDIS_URL"} and not name.startswith(("VIDEOPROC_", "PYTHON"))
        }
        return {**inherited, **self._home()}

    def _home(self) -> dict[str, str]:
        home = str(self.paths.home)
        named = {"USER": self.account.name, "LOGNAME": self.account.name} if self.account else {}
        return {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "XDG_CONFIG_HOME": f"{home}/config", **named}

    def python(
        self, name: str, *arguments: str, ready: Callable[[], bool], clear: Path | None = None
    ) -> Service:
        """A service that is a Python module of this environment; `clear` is a stale file to remove first."""
        return Service(
            name=name,
            argv=[sys.executable, "-m", *arguments],
            environment=self.environment(name),
            ready=ready,
            folder=self.paths.root,
            account=self.account,
            before_start=_remover(clear) if clear else lambda: None,
        )


def database_service(site: Site, server: postgres.Server) -> Service:
    return Service(
        name="postgres",
        argv=server.argv(),
        environment=site.plain_environment() | {"HOME": str(server.sockets)},
        ready=server.is_ready,
        folder=server.sockets,
        account=server.account,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        death_signal=signal.SIGINT,
        is_server=True,
        before_start=lambda: postgres.clear_stale_socket(server),
        start_seconds=300.0,  # recovery after a crash may replay much
        umask=0o077,
    )


def broker_service(site: Site, server: valkey.Server) -> Service:
    return Service(
        name="valkey",
        argv=server.argv(),
        environment=site.plain_environment(),
        ready=server.is_ready,
        folder=server.data,
        account=server.account,
        death_signal=signal.SIGTERM,
        is_server=True,
        before_start=_remover(server.address),
        start_seconds=120.0,
        umask=0o077,
    )


def prepare_command(site: Site) -> Service:
    """Migrations, static files and the first admin, in one process."""
    # A large table may take a while to migrate.
    return replace(site.python("prepare", "django", "prepare", ready=lambda: True), start_seconds=3600.0)


def site_services(site: Site) -> list[Service]:
    """Everything that starts when the database is prepared, the first page's processes first."""
    return [_web(site), _uploads(site), _edge(site), *_workers(site), _beat(site), _flower(site)]


def _web(site: Site) -> Service:
    address = site.paths.socket("web")
    question = Question(path="/", host=site.public_host, server=address)
    arguments = ["daphne", "-u", str(address), "--proxy-headers", "--no-server-name", "-v", "1"]
    arguments += ["--access-log", os.devnull, "--http-timeout", "120", "--websocket_timeout", "-1"]
    return site.python(
        "web", *arguments, "videoproc.asgi:application", ready=question.succeeds, clear=address
    )


def _uploads(site: Site) -> Service:
    address = site.paths.socket("uploads")
    question = Question(path="/api/v1/uploads", host=site.public_host, server=address, method="OPTIONS")
    arguments = ["uvicorn", "--uds", str(address), "--no-access-log", "--no-server-header", "--proxy-headers"]
    arguments += ["--forwarded-allow-ips", "*", "--timeout-graceful-shutdown", "5", "--ws", "none"]
    service = site.python(
        "uploads",
        *arguments,
        "videoproc.uploads_asgi:application",
        ready=lambda: question.status() is not None,
        clear=address,
    )
    return replace(service, after=FIRST_PAGE)


def _workers(site: Site) -> list[Service]:
    # What goes out to the internet is done by the short lane's worker here; in containers it has its own.
    lanes = {
        "short": ("short,outbound", os.environ.get("SHORT_WORKER_CONCURRENCY") or "2"),
        "encode": ("encode", os.environ.get("WORKER_CONCURRENCY") or "5"),
    }
    return [
        _celery(
            site,
            f"worker-{lane}",
            *("worker", "-Q", queues, "-n", f"{lane}@%h", "-c", concurrency, "-P", "prefork"),
            *("--without-gossip", "--without-mingle"),
        )
        for lane, (queues, concurrency) in lanes.items()
    ]


def _beat(site: Site) -> Service:
    return _celery(
        site, "beat", "beat", "--schedule", str(site.paths.home / "beat-schedule"), "--pidfile", ""
    )


def _celery(site: Site, name: str, *arguments: str) -> Service:
    mark = site.paths.site_sockets / f"{name}.ready"
    service = site.python(
        name, "celery", "-A", "videoproc", *arguments, "--loglevel", "INFO", ready=mark.exists, clear=mark
    )
    environment = {**service.environment, "VIDEOPROC_READY_FILE": str(mark)}
    return replace(service, environment=environment, after=FIRST_PAGE)


def _flower(site: Site) -> Service:
    address = site.paths.socket("flower")
    question = Question(path="/flower/healthcheck", host=site.public_host, server=address)
    arguments = ["celery", "-A", "videoproc", "flower", f"--unix_socket={address}", "--url_prefix=flower"]
    service = site.python("flower", *arguments, ready=question.succeeds, clear=address)
    return replace(service, after=FIRST_PAGE)


def _edge(site: Site) -> Service:
    low_ports = site.account is not None and caddy.lowest_port(site.public_url, site.port) < FIRST_FREE_PORT
    argv = caddy.argv(site.paths.root)
    return Service(
        name="caddy",
        argv=[*_with_low_ports(site.account), *argv] if site.account and low_ports else argv,
        environment=site.plain_environment()
        | caddy.environment(site.paths, site.public_url, site.host, site.port),
        ready=caddy.is_ready(site.public_url, site.local_url, site.port),
        folder=site.paths.caddy,
        account=None if low_ports else site.account,
        after=FIRST_PAGE,
    )


def _with_low_ports(account: Account) -> list[str]:
    """Give up root, but keep the one right to listen below port 1024."""
    keep = "+net_bind_service"
    return [
        *("setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"),
        *("--inh-caps", f"-all,{keep}", "--ambient-caps", keep, "--bounding-set", f"-all,{keep}"),
        *("--no-new-privs", "--pdeathsig", "KILL", "--"),
    ]


def _remover(file: Path) -> Callable[[], None]:
    return lambda: file.unlink(missing_ok=True)
