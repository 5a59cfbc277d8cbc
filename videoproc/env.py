"""Typed readers of environment variables. Nonsense is refused at start, never guessed at."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit


class InvalidSetting(ValueError):
    """An environment variable holds a value that makes no sense."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name}={value!r}: expected {wanted}")


def text(name: str, default: str = "") -> str:
    """The variable, or the content of the file that NAME_FILE points to, stripped."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default).strip()


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """A whole number within the given bounds, both included."""
    value = text(name)
    if not value:
        return default
    if not value.lstrip("-").isdecimal() or not minimum <= int(value) <= maximum:
        raise InvalidSetting(name, value, f"a whole number from {minimum} to {maximum}")
    return int(value)


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise InvalidSetting(name, value, "true or false")


def choice(name: str, default: str, allowed: set[str]) -> str:
    """One of a few words."""
    value = text(name, default).lower() or default
    if value not in allowed:
        raise InvalidSetting(name, value, " or ".join(sorted(allowed)))
    return value


def secret(name: str, *, minimum: int) -> str:
    """A secret of at least `minimum` characters, or empty where there is none."""
    value = text(name)
    if value and len(value) < minimum:
        raise InvalidSetting(name, "…", f"at least {minimum} characters")
    return value


def names(name: str) -> list[str]:
    """A comma-separated list, without empty members."""
    return [member.strip() for member in text(name).split(",") if member.strip()]


def ports(name: str) -> list[int]:
    """A comma-separated list of TCP ports."""
    return [_port(name, member) for member in names(name)]


def destinations(name: str) -> list[tuple[str, int]]:
    """A comma-separated list of `host:port`; IPv6 addresses stand in brackets."""
    found = []
    for member in names(name):
        host, _, port = member.rpartition(":")
        host = host.strip("[]").lower()
        if not host:
            raise InvalidSetting(name, member, "host:port")
        found.append((host, _port(name, port)))
    return found


def _port(name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:  # noqa: PLR2004 - the highest port there is
        raise InvalidSetting(name, value, "a port from 1 to 65535")
    return int(value)


def folder(name: str, default: Path) -> Path:
    value = text(name)
    return Path(value).expanduser().resolve() if value else default


def http_url(name: str, default: str) -> str:
    """An http or https origin without path, as browsers send it."""
    value = (text(name) or default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise InvalidSetting(name, value, "an address such as https://video.example.org")
    return value


def postgres_url(name: str) -> dict[str, str]:
    """Connection settings of `postgresql://user:password@host:port/name?host=/socket/folder`."""
    value = text(name)
    parts = urlsplit(value)
    query = {key: members[-1] for key, members in parse_qs(parts.query).items()}
    database = unquote(parts.path.lstrip("/"))
    if parts.scheme not in {"postgres", "postgresql"} or not database:
        raise InvalidSetting(name, "…", "postgresql://user:password@host:port/name")
    return {
        "NAME": database,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": query.pop("port", str(parts.port or "")),
        **{key: member for key, member in query.items() if key in {"sslmode", "sslrootcert"}},
    }


class RedisAddress:
    """One server, addressed per use: each part of the site has a database of its own on it."""

    BROKER, CHANNELS, CACHE = range(3)

    def __init__(self, name: str, default: str) -> None:
        self._value = text(name, default)
        parts = urlsplit(self._value)
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise InvalidSetting(name, "…", "redis://host:6379/0 or unix:///path/to.sock?db=0")
        self._parts = parts

    @property
    def password(self) -> str:
        """Empty where it has none."""
        return unquote(self._parts.password or "")

    @property
    def is_socket(self) -> bool:
        """Whether it is on this machine, at a path."""
        return self._parts.scheme == "unix"

    def for_redis(self, database: int) -> str:
        """The form that redis-py and channels_redis take."""
        parts = self._parts
        if parts.scheme == "unix":
            # Not geturl(): without a password it would drop the two slashes.
            return f"unix://{parts.netloc}{parts.path}?db={database}"
        return parts._replace(path=f"/{database}").geturl()

    def for_celery(self) -> str:
        """The form that kombu takes: it has a scheme of its own for sockets."""
        parts = self._parts
        if parts.scheme != "unix":
            return self.for_redis(self.BROKER)
        password = f":{quote(parts.password, safe='')}@" if parts.password else ""
        return f"redis+socket://{password}{parts.path}?virtual_host={self.BROKER}"
