"""The containers: the workers that read what strangers send are walled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOOLS = ("worker-short", "worker-encode")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.mark.parametrize("name", TOOLS)
def test_a_worker_is_walled_in(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not {"privileged", "ports", "devices", "pid", "network_mode", "userns_mode"} & set(service)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ipc"] == "private"
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert "noexec" in service["tmpfs"][0]
    assert service["volumes"] == ["site:/srv/videoproc"]
    assert "VIDEOPROC_SANDBOX_MINIMUM" in service["environment"]


@pytest.mark.parametrize("name", TOOLS)
def test_a_worker_reaches_the_database_and_the_broker_alone(compose: dict[str, Any], name: str) -> None:
    (network,) = compose["services"][name]["networks"]
    assert compose["networks"][network] == {"internal": True}
    others = {
        other for other, service in compose["services"].items() if network in service.get("networks", ())
    }
    assert others == {"postgres", "valkey", *TOOLS}


def test_who_reaches_the_internet_starts_no_tool(compose: dict[str, Any]) -> None:
    service = compose["services"]["worker-outbound"]
    assert "outside" in service["networks"]
    assert service["command"][service["command"].index("-Q") + 1] == "outbound"
    assert service["volumes"] == [], "and sees no file of a user"


def test_who_fetches_imports_reaches_the_internet(compose: dict[str, Any]) -> None:
    reach = {
        name for name, service in compose["services"].items() if "outside" in service.get("networks", ())
    }
    assert reach == {"edge", "uploads", "worker-outbound"}


def test_every_queue_has_a_worker(compose: dict[str, Any]) -> None:
    commands = " ".join(str(service.get("command")) for service in compose["services"].values())
    for queue in ("short", "encode", "outbound"):
        assert f"-Q {queue} " in commands or f"'-Q', '{queue}'" in commands


def test_every_service_is_without_privileges(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
