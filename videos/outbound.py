"""Requests to addresses that users name: none of them may reach into the network this site stands in.

`ask` is the only door. The address of a name is looked up once, checked, and that very address is connected
to, while TLS and the Host header go by the name; so a name that means something else a moment later (DNS
rebinding) gains nothing. Redirects are answers like any other, proxies of the environment do not count, and
one clock stops the whole exchange.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

URL_MAX = 2000
ADDRESSES_TRIED = 4
_PORTS = {"https": 443, "http": 80}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_V4_ALONE = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
    )
)  # fmt: skip
# All that is routed stands in here. What lies outside, above all ::ffff:0:0/96 (mapped IPv4) and 64:ff9b::/96
# (NAT64), is refused unseen.
_V6_UNICAST = ipaddress.IPv6Network("2000::/3")
_V6_ALONE = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments, with Teredo and ORCHID
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
    )
)  # fmt: skip

Resolve = Callable[[str, int], Iterable[str]]


class Refused(Exception):
    """The address is not one that this site calls; `str()` says why, for the person who named it."""


class Failed(Exception):
    """The other side was not reached or did not answer well; `str()` says what happened."""


def address_is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large, whatever Python's version thinks of it."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in net for net in _V4_ALONE)
    return found.scope_id is None and found in _V6_UNICAST and not any(found in net for net in _V6_ALONE)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called. `trusted` are (host, port) that the administrator vouches for: there plain http,
    other ports and addresses of the own network are allowed. `resolve` and `tls` are seams for tests."""

    ports: frozenset[int]
    trusted: frozenset[tuple[str, int]] = frozenset()
    resolve: Resolve = _look_up
    tls: Callable[[], ssl.SSLContext] = _tls


def policy_of_site() -> Policy:
    return Policy(ports=frozenset(settings.OUTBOUND_PORTS), trusted=frozenset(settings.OUTBOUND_TRUSTED))


@dataclass(frozen=True, slots=True)
class _Target:
    """An address as it was checked: nothing reads its text a second time, and perhaps differently."""

    scheme: str
    host: str
    port: int
    path: str
    trusted: bool

    @property
    def address(self) -> httpcore.URL:
        return httpcore.URL(
            scheme=self.scheme.encode(), host=self.host.encode(), port=self.port, target=self.path.encode()
        )

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def url_check(url: str, policy: Policy | None = None) -> None:
    """Raises Refused where no request would ever go to `url`. Asks no name server."""
    _target_of(url, policy or policy_of_site())


def _target_of(url: str, policy: Policy) -> _Target:
    if len(url) > URL_MAX or _FORBIDDEN.search(url):
        raise Refused("The address is too long or has characters that do not belong there.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii").lower().rstrip(".")
    except ValueError:
        raise Refused("This is not a web address.") from None
    if not host or parts.scheme not in {"http", "https"}:
        raise Refused("The address must begin with https:// and name a host.")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise Refused("The address must have no user name, password or #part.")
    port = _PORTS[parts.scheme] if port is None else port
    path = _quoted((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    if (host, port) in policy.trusted:
        return _Target(parts.scheme, host, port, path, trusted=True)
    if parts.scheme != "https":
        raise Refused("The address must begin with https://.")
    if port not in policy.ports:
        allowed = ", ".join(map(str, sorted(policy.ports)))
        raise Refused(f"The port {port} is not allowed; these are: {allowed}.")
    _literal_check(host)
    return _Target(parts.scheme, host, port, path, trusted=False)


def _literal_check(host: str) -> None:
    try:
        public = address_is_public(host)
    except ValueError:
        # A name. One without a dot, or all digits as resolvers read them (127.1, 0x7f000001), is none.
        last = host.rpartition(".")[2]
        if "." not in host or host.endswith((".localhost", ".local", ".internal")) or last[0].isdigit():
            raise Refused("The address does not lead to the public internet.") from None
        return
    if not public:
        raise Refused("The address does not lead to the public internet.")


class _Clock:
    """The time left for an exchange, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.words = f"It took longer than {seconds:g} s."

    def left(self, wanted: float | None = None) -> float:
        """At most `wanted`. Raises Failed once nothing is left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failed(self.words)
        return left if wanted is None else min(left, wanted)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the clock."""

    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._clock.left(timeout)), self._clock
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Network(httpcore.NetworkBackend):
    """Connects to the checked addresses of the target, whatever name the client asks for."""

    def __init__(self, target: _Target, policy: Policy, clock: _Clock) -> None:
        self._target = target
        self._policy = policy
        self._clock = clock
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses()
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(
                    address, self._target.port, self._clock.left(timeout), None, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return _Stream(stream, self._clock)
        self._clock.left()
        raise Failed("No connection could be made.")

    def _addresses(self) -> list[str]:
        target = self._target
        found = _within(self._clock, lambda: list(self._policy.resolve(target.host, target.port)))
        # One bad address spoils them all: a name that leads to both is not to be trusted with either.
        if not target.trusted and not all(address_is_public(address) for address in found):
            raise Refused("The address does not lead to the public internet.")
        return found[:ADDRESSES_TRIED]


def _within(clock: _Clock, look_up: Callable[[], list[str]]) -> list[str]:
    """What the name server says. It knows no deadline, so a thread waits for it in our place."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up())
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="outbound-lookup", daemon=True).start()
    try:
        found = answers.get(timeout=clock.left())
    except queue.Empty:
        raise Failed("The name could not be looked up in time.") from None
    if not isinstance(found, list) or not found:
        raise Failed("The name could not be found.")
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply whose body has not been read yet. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)

    def read(self, maximum: int) -> bytes:
        """The body, not decoded. Raises Failed where it has more than `maximum` bytes."""
        body = bytearray()
        for chunk in self.chunks:
            body += chunk
            if len(body) > maximum:
                raise Failed(f"The reply has more than {maximum} bytes.")
        return bytes(body)


@contextmanager
def ask(
    method: str,
    url: str,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    idle: float | None = None,
    policy: Policy | None = None,
) -> Iterator[Answer]:
    """Sends one request and yields the answer, whose body can be read in the `with` block.

    `seconds` is for everything: look-up, connection, TLS, request and the whole reply; `idle` for a silence
    within it. Raises Refused or Failed, also while the body is read. Every status is an answer, redirects
    too: they are not followed.
    """
    policy = policy or policy_of_site()
    target = _target_of(url, policy)
    clock = _Clock(seconds)
    pool = httpcore.ConnectionPool(
        ssl_context=policy.tls(), max_connections=1, network_backend=_Network(target, policy, clock)
    )
    fields = [("Host", target.authority), *(headers or {}).items()]
    waits = {} if idle is None else dict.fromkeys(("connect", "read", "write", "pool"), idle)
    try:
        with (
            pool,
            pool.stream(
                method, target.address, headers=fields, content=body, extensions={"timeout": waits}
            ) as response,
        ):
            found = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            yield Answer(response.status, found, response.iter_stream())
    except httpcore.TimeoutException:
        # The clock's own words, unless it was the silence.
        clock.left()
        raise Failed(clock.words if idle is None else f"Nothing came for {idle:g} s.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Failed(_words(error)) from None


def _quoted(path: str) -> str:
    """Characters beyond ASCII as UTF-8 in per cent signs; what is quoted already stays."""
    return "".join(
        sign if sign.isascii() else "".join(f"%{byte:02X}" for byte in sign.encode()) for sign in path
    )


def _words(error: Exception) -> str:
    cause = error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate is not valid: {cause.verify_message}."
    if isinstance(cause, ssl.SSLError):
        return "No secure connection could be made."
    if isinstance(error, httpcore.ProtocolError) and "complete message body" not in str(error):
        return "The reply is not HTTP."
    return "The connection broke off."
