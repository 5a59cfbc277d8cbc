"""No request to an address that a user names reaches the network this site stands in."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receiver import NAME, Receiver, Reply, answering, certificate_make, receiving
from videos import outbound
from videos.outbound import Failed, Policy, Refused, address_is_public, ask, url_check

PLAIN = Policy(ports=frozenset({443, 8443}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_make(tmp_path_factory.mktemp("tls") / "own.pem")


@pytest.fixture
def receiver(certificate: Path) -> Iterator[Receiver]:
    with receiving(certificate=certificate) as made:
        yield made


def trusting(
    receiver: Receiver, *, certificate: Path | None = None, addresses: tuple[str, ...] = ()
) -> Policy:
    """The name is the receiver's; its own certificate is trusted."""

    def tls() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=certificate)

    found = list(addresses or (receiver.host,))
    return Policy(
        ports=frozenset(),
        trusted=frozenset({(NAME, receiver.port)}),
        resolve=lambda _host, _port: found,
        tls=tls if certificate else ssl.create_default_context,
    )


def get(receiver: Receiver, policy: Policy, *, scheme: str = "http", seconds: float = 5) -> bytes:
    with ask("GET", f"{scheme}://{NAME}:{receiver.port}/x", seconds=seconds, policy=policy) as answer:
        return answer.read(1000)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing listens there
        "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
        "168.63.129.16", "169.254.169.254", "172.31.255.255", "192.0.0.192", "192.168.1.1", "192.88.99.1",
        "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "100::1", "2001::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not address_is_public(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused):
        url_check(f"https://{host}/", PLAIN)

    asked = Policy(ports=frozenset({443}), resolve=lambda _host, _port: [address])
    with pytest.raises(Refused), ask("GET", "https://name.example.org/", seconds=5, policy=asked):
        pytest.fail("a name may not lead there either")


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_addresses_that_are_public(address: str) -> None:
    assert address_is_public(address)
    assert ipaddress.ip_address(address).is_global
    url_check(f"https://{f'[{address}]' if ':' in address else address}:8443/", PLAIN)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "example.org", "//example.org/", "ftp://example.org/", "file:///etc/passwd", "https://",
        "https:///x", "http://example.org/", "https://example.org:22/", "https://example.org:0/",
        "https://example.org:99999/", "https://me:word@example.org/", "https://@example.org/",
        "https://example.org/#part", "https://example.org/a b", "https://example.org/\r\nX: y",
        "https://example.org\\@127.0.0.1/", "https://localhost/", "https://db/", "https://db.internal/",
        "https://printer.local/", "https://a.localhost/", "https://127.1/", "https://0x7f.0.0.1/",
        "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://[::1]/",
        "https://[::ffff:169.254.169.254]/", "https://①②⑦.0.0.1/", "https://a..b/", "https://[::1/",
        "https://example.org/" + "x" * 2000,
    ],
)  # fmt: skip
def test_addresses_refused_as_they_stand(url: str) -> None:
    with pytest.raises(Refused):
        url_check(url, PLAIN)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "HTTPS://EXAMPLE.ORG:8443/a?b=c",
        "https://bücher.example/ü?q=ü",
        "https://a.example./",
    ],
)
def test_addresses_taken(url: str) -> None:
    url_check(url, PLAIN)


def test_tls_goes_by_the_name_though_the_checked_address_is_called(
    receiver: Receiver, certificate: Path
) -> None:
    policy = trusting(receiver, certificate=certificate)
    url = f"https://{NAME}:{receiver.port}/hook/ü?a=%20b"
    with ask("POST", url, seconds=10, body=b"{}", headers={"X-One": "1"}, policy=policy) as answer:
        assert (answer.status, answer.headers["content-length"], answer.read(10)) == (200, "2", b"ok")

    (request,) = receiver.requests
    assert receiver.names == [NAME]
    assert request.line == "POST /hook/%C3%BC?a=%20b HTTP/1.1"
    assert request.headers["host"] == f"{NAME}:{receiver.port}"
    assert (request.headers["x-one"], request.body) == ("1", b"{}")


def test_a_certificate_of_another_name_or_of_nobody_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="certificate is not valid"):
        get(receiver, trusting(receiver), scheme="https")
    other = certificate_make(tmp_path / "other.pem", name="other.example.org")
    with receiving(certificate=other) as impostor, pytest.raises(Failed, match="certificate is not valid"):
        get(impostor, trusting(impostor, certificate=other), scheme="https")
    assert not receiver.requests


def test_a_name_is_looked_up_once_and_what_was_checked_is_called() -> None:
    """DNS rebinding: the second answer would lead into the own network."""
    asked: list[tuple[str, int]] = []
    answers = iter([["127.0.0.5"], ["127.0.0.1"]])

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return next(answers)

    with receiving(host="127.0.0.5") as good:
        policy = Policy(ports=frozenset(), trusted=frozenset({(NAME, good.port)}), resolve=resolve)
        assert get(good, policy) == b"ok"
        assert asked == [(NAME, good.port)]


def test_one_bad_address_spoils_the_good_ones() -> None:
    policy = Policy(ports=frozenset({443}), resolve=lambda _host, _port: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(Refused), ask("GET", "https://mixed.example.org/", seconds=5, policy=policy):
        pytest.fail("nothing may be sent")


def test_the_next_address_is_tried_where_one_is_dead() -> None:
    with receiving(host="127.0.0.5") as good:
        assert get(good, trusting(good, addresses=("127.0.0.6", "127.0.0.5"))) == b"ok"
        with pytest.raises(Failed, match="No connection"):
            get(good, trusting(good, addresses=("127.0.0.6",)))


def test_redirects_are_not_followed() -> None:
    with receiving() as inner:
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: http://{NAME}:{inner.port}/secret\r\nContent-Length: 0\r\n\r\n"
        )
        with receiving(answering(moved.encode())) as outer:
            policy = trusting(outer)
            with ask("GET", f"http://{NAME}:{outer.port}/", seconds=5, policy=policy) as answer:
                assert answer.status == 302
        assert not inner.requests


def test_proxies_of_the_environment_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert get(receiver, trusting(receiver)) == b"ok"
        assert not proxy.requests


def _dripping(head: bytes) -> Reply:
    """Each byte comes long before any pause would be too long."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    return reply


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"]
)
def test_a_reply_that_drips_is_cut_off(head: bytes) -> None:
    with receiving(_dripping(head)) as slow, pytest.raises(Failed, match=r"longer than 0\.4 s|not HTTP"):
        get(slow, trusting(slow), seconds=0.4)


def test_silence_is_cut_off() -> None:
    def wait(connection: socket.socket) -> None:
        connection.recv(1)

    with receiving(wait) as silent, pytest.raises(Failed, match="longer than"):
        get(silent, trusting(silent), seconds=0.3)

    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says no word of TLS
        port = deaf.getsockname()[1]
        policy = Policy(frozenset(), frozenset({(NAME, port)}), resolve=lambda _host, _port: ["127.0.0.1"])
        with (
            pytest.raises(Failed, match="longer than"),
            ask("GET", f"https://{NAME}:{port}/", seconds=0.3, policy=policy),
        ):
            pytest.fail("there is no answer")


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    stop = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        stop.wait(20)
        return ["8.8.8.8"]

    policy = Policy(ports=frozenset({443}), resolve=resolve)
    with (
        pytest.raises(Failed, match="could not be looked up in time"),
        ask("GET", "https://slow.example.org/", seconds=0.2, policy=policy),
    ):
        pytest.fail("there is no address")
    stop.set()


def test_an_unknown_name_is_a_failure() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    policy = Policy(ports=frozenset({443}), resolve=resolve)
    with (
        pytest.raises(Failed, match="not be found"),
        ask("GET", "https://no.example/", seconds=5, policy=policy),
    ):
        pytest.fail("there is no address")


def _endless(head: bytes) -> Reply:
    def reply(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    return reply


def test_an_endless_reply_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with receiving(_endless(head)) as endless, pytest.raises(Failed, match="more than 1000 bytes"):
        get(endless, trusting(endless))


def test_packed_replies_are_not_unpacked() -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    with receiving(answering(packed)) as receiver:
        assert get(receiver, trusting(receiver)) == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]
)
def test_a_broken_reply_is_a_failure(answer: bytes) -> None:
    with receiving(answering(answer)) as receiver, pytest.raises(Failed):
        get(receiver, trusting(receiver))


def test_the_site_trusts_only_what_its_settings_name() -> None:
    assert outbound.policy_of_site() == Policy(ports=frozenset({443, 8443}))
