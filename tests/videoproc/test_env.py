"""The readers of environment variables accept what makes sense and refuse the rest by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoproc import env


@pytest.mark.parametrize("value", ["0", "65536", "-1", "8000.5", "eight", "1e3"])
def test_integer_refuses_nonsense_and_names_the_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(env.InvalidSetting, match=r"PORT=.*from 1 to 65535"):
        env.integer("PORT", 8000, minimum=1, maximum=65535)


def test_integer_reads_value_or_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", " 8080 ")
    assert env.integer("PORT", 8000, minimum=1, maximum=65535) == 8080
    monkeypatch.setenv("PORT", "")
    assert env.integer("PORT", 8000, minimum=1, maximum=65535) == 8000


def test_text_prefers_the_file_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from the file\n", encoding="utf-8")
    monkeypatch.setenv("KEY", "from the variable")
    monkeypatch.setenv("KEY_FILE", str(secret))
    assert env.text("KEY") == "from the file"


@pytest.mark.parametrize(("value", "expected"), [("yes", True), ("0", False), ("", True)])
def test_flag(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("SWITCH", value)
    assert env.flag("SWITCH", default=True) is expected


def test_flag_refuses_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCH", "maybe")
    with pytest.raises(env.InvalidSetting):
        env.flag("SWITCH")


def test_postgres_url_over_tcp_and_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:p%40ss@db.example:6432/site?sslmode=require")
    assert env.postgres_url("DATABASE_URL") == {
        "NAME": "site",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "6432",
        "sslmode": "require",
    }
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:x@/site?host=/run/pg")
    assert env.postgres_url("DATABASE_URL")["HOST"] == "/run/pg"


@pytest.mark.parametrize("value", ["mysql://a/b", "postgresql://host", "site"])
def test_postgres_url_refuses_other_addresses(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(env.InvalidSetting, match="DATABASE_URL"):
        env.postgres_url("DATABASE_URL")


def test_a_refused_database_url_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:topsecret@db/site")
    with pytest.raises(env.InvalidSetting) as caught:
        env.postgres_url("DATABASE_URL")
    assert "topsecret" not in str(caught.value)


def test_redis_addresses_for_each_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:pw@cache.example:6380/7")
    address = env.RedisAddress("REDIS_URL", "")
    assert address.for_redis(address.CHANNELS) == "redis://:pw@cache.example:6380/1"
    assert address.for_celery() == "redis://:pw@cache.example:6380/0"


def test_redis_socket_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix://:pw@/run/valkey.sock?db=0")
    address = env.RedisAddress("REDIS_URL", "")
    assert address.for_redis(address.CHANNELS) == "unix://:pw@/run/valkey.sock?db=1"
    assert address.for_celery() == "redis+socket://:pw@/run/valkey.sock?virtual_host=0"


@pytest.mark.parametrize("value", ["ftp://x", "https://x/path", "video.example.org"])
def test_http_url_refuses_what_is_no_origin(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("URL", value)
    with pytest.raises(env.InvalidSetting):
        env.http_url("URL", "http://127.0.0.1")


def test_destinations_are_hosts_with_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TO", "Hooks.internal:9000, [::1]:443,")
    assert env.destinations("TO") == [("hooks.internal", 9000), ("::1", 443)]
    monkeypatch.setenv("PORTS", "8080, 9443")
    assert env.ports("PORTS") == [8080, 9443]


@pytest.mark.parametrize("value", ["host", ":80", "host:", "host:0", "host:65536", "host:http"])
def test_destinations_refuse_nonsense(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TO", value)
    with pytest.raises(env.InvalidSetting, match="TO="):
        env.destinations("TO")
