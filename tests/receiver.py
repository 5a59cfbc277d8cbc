"""A real receiver of requests on this machine, by plain HTTP or TLS, that answers as a test wants."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "receiver.example.org"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# Gets the connection after the request was read, and answers on it.
Reply = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


def answering(answer: bytes) -> Reply:
    return lambda connection: connection.sendall(answer)


@dataclass
class Receiver:
    """`requests` are what came; `names` are the server names that TLS clients asked for."""

    host: str = "127.0.0.1"
    certificate: Path | None = None
    reply: Reply = field(default=answering(OK))

    def __post_init__(self) -> None:
        self.requests: list[Request] = []
        self.names: list[str | None] = []
        self._ended = threading.Event()
        self._socket = socket.create_server((self.host, 0))
        self.port: int = self._socket.getsockname()[1]
        self._context: ssl.SSLContext | None = None
        if self.certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(self.certificate)
            self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> threading.Event:
        return self._ended

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                # Clients that hang up are what some tests are about.
                with contextlib.suppress(OSError, ValueError):
                    if self._context is None:
                        self._one(connection)
                    else:
                        with self._context.wrap_socket(connection, server_side=True) as secure:
                            self._one(secure)

    def _one(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            line = lines.readline().decode().strip()
            if not line:
                return
            headers = {}
            while text := lines.readline().decode().strip():
                name, _, value = text.partition(":")
                headers[name.lower()] = value.strip()
            body = lines.read(int(headers.get("content-length", "0")))
        self.requests.append(Request(line, headers, body))
        self.reply(connection)


@contextlib.contextmanager
def receiving(
    reply: Reply | None = None, *, host: str = "127.0.0.1", certificate: Path | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(host, certificate, reply or answering(OK))
    try:
        yield receiver
    finally:
        receiver.close()


def certificate_make(path: Path, *, name: str = NAME) -> Path:
    """A certificate that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
