"""/metrics: who may read it, what it says, and that counting never gets in the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml
from django.db import connection
from django.test import Client
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from jobs.models import Job, Step
from jobs.queues import _LANES, lanes_now
from problems.catalogue import KINDS
from telemetry import metrics
from telemetry.recorder import Recorder, Sample, recorder
from users.models import User
from videoproc.env import RedisAddress
from videoproc.metrics import metrics_text
from videos.delivery import Delivery

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "metrics-token-0123456789"


@pytest.fixture(autouse=True)
def client_of_redis(settings: Settings) -> Iterator[redis.Redis]:
    """Nothing was counted before the test."""
    recorder.flush()
    with redis.Redis.from_url(settings.REDIS.for_redis(RedisAddress.CACHE)) as client:
        client.flushdb()
        yield client


def _families() -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics_text().decode())}


def _value(name: str, **labels: str) -> float | None:
    for family in _families().values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def _status(client: Client, **headers: str) -> int:
    return client.get("/metrics", headers=headers).status_code


def test_without_a_token_only_staff_who_are_signed_in_may_read(alice: User, carol: User) -> None:
    client = Client()
    assert _status(client) == 401
    assert _status(client, Authorization="Bearer ") == 401
    client.force_login(alice)
    assert _status(client) == 403
    client.force_login(carol)
    assert _status(client) == 200
    assert client.get("/metrics").headers["Content-Type"].startswith("text/plain")


@pytest.mark.django_db
def test_with_a_token_its_bearer_may_read(settings: Settings, alice: User, carol: User) -> None:
    settings.METRICS_TOKEN = TOKEN
    client = Client()
    assert _status(client, Authorization=f"Bearer {TOKEN}") == 200
    for wrong in ("", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ä"):
        assert _status(client, Authorization=wrong) == 401, wrong
    client.force_login(alice)
    assert _status(client) == 403
    client.force_login(carol)
    assert _status(client) == 200
    assert client.post("/metrics").status_code == 405


@pytest.mark.django_db
def test_every_metric_is_described_and_has_its_own_name() -> None:
    families = _families()
    declared = {metric.name for metric in (*metrics.COUNTERS, *metrics.HISTOGRAMS)}
    assert declared <= families.keys()
    assert all(family.documentation for family in families.values())
    assert len(declared) == len(metrics.COUNTERS) + len(metrics.HISTOGRAMS)


@pytest.mark.django_db
def test_histograms_are_cumulative_and_add_up() -> None:
    for seconds in (0.001, 0.005, 0.3, 7.0, 100.0):
        metrics.HTTP_DURATION.observe(seconds, route="page")
    recorder.flush()
    family = _families()["videoproc_http_request_duration_seconds"]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    counts = list(buckets.values())
    assert counts == sorted(counts)
    assert (buckets["0.005"], buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (2, 3, 4, 5)
    assert _value("videoproc_http_request_duration_seconds_count", route="page") == 5
    assert _value("videoproc_http_request_duration_seconds_sum", route="page") == pytest.approx(107.306)


@pytest.mark.django_db
def test_sums_of_several_processes_meet() -> None:
    code = (
        "import django; django.setup()\n"
        "from telemetry.metrics import UPLOADED\nfrom telemetry.recorder import recorder\n"
        "UPLOADED.add(40)\nassert recorder.flush()\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    metrics.UPLOADED.add(2)
    assert _value("videoproc_uploaded_bytes_total") == 42


@pytest.mark.django_db
def test_counting_goes_on_while_redis_is_away(settings: Settings) -> None:
    there = settings.REDIS
    mine = Recorder()
    series = metrics.series(metrics.SERVED.name, (), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")
        settings.REDIS = RedisAddress("REDIS_URL", "")
        mine.add([(series, 5)])
        assert not mine.flush()
        assert not mine.read().available
        mine.add([(series, 2)])
    settings.REDIS = there
    mine._client = None
    assert mine.flush()
    assert _value("videoproc_served_bytes_total") == 7


@pytest.mark.django_db
def test_without_redis_the_page_tells_what_postgresql_knows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")
    settings.REDIS = RedisAddress("REDIS_URL", "")
    monkeypatch.setattr(recorder, "_client", None)
    families = _families()
    assert families["videoproc_redis_up"].samples[0].value == 0
    assert families["videoproc_database_up"].samples[0].value == 1
    assert {s.labels["lane"] for s in families["videoproc_queue_steps"].samples} == {"short", "encode"}
    assert "videoproc_workers" not in families


def test_a_mistake_in_counting_is_logged_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    metrics.RETRIES.add(operation="resize")
    metrics.RETRIES.add(operation="resize", colour="blue")
    assert caplog.text.count("a metric was not counted") == 2


@pytest.mark.django_db
def test_gauges_of_processes_are_added_up_and_vanish_with_them(client_of_redis: redis.Redis) -> None:
    for number in (1, 2):
        told = [Sample("videoproc_workers", ("encode",), 1.0), Sample("videoproc_open_sockets", (), 3.0)]
        client_of_redis.set(f"videoproc:process:machine:{number}", json.dumps(told), px=60_000)
    assert _value("videoproc_workers", lane="encode") == 2
    assert _value("videoproc_workers", lane="short") == 0
    assert _value("videoproc_open_sockets") == 6
    client_of_redis.delete("videoproc:process:machine:1", "videoproc:process:machine:2")
    assert _value("videoproc_workers", lane="encode") == 0


def test_a_gauge_that_cannot_be_read_takes_nothing_else_along(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[Sample]:
        raise LookupError

    mine = Recorder()
    mine.source(broken)
    mine.source(lambda: [Sample("videoproc_open_sockets", (), 4.0)])
    assert json.loads(mine._beat()) == [["videoproc_open_sockets", [], 4.0]]
    assert "a gauge could not be read" in caplog.text


def _waiting_job(owner: User, *, minutes_ago: int, lane: str, needs: list[int]) -> None:
    job = Job.objects.create(owner=owner, type="resize")
    Step.objects.create(job=job, owner=owner, position=0, kind="encode", lane=lane, priority=1, needs=needs)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_job SET queued_at = now() - %s * interval '1 minute' WHERE queued_at = %s",
            [minutes_ago, Job.objects.get(id=job.id).queued_at],
        )


def test_the_queue_by_lane(alice: User) -> None:
    _waiting_job(alice, minutes_ago=90, lane="encode", needs=[1])  # waits for another step, not for a worker
    _waiting_job(alice, minutes_ago=60, lane="encode", needs=[])
    _waiting_job(alice, minutes_ago=1, lane="encode", needs=[])
    states = {state.lane: state for state in lanes_now()}
    assert (states["encode"].waiting, states["short"].waiting) == (3, 0)
    assert states["encode"].oldest_seconds == pytest.approx(3600, abs=60)
    assert states["short"].oldest_seconds == 0


@pytest.mark.django_db
def test_the_queue_is_read_from_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {_LANES}", [["short", "encode"]])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "step_oldest" in plan


@pytest.mark.parametrize(
    ("wanted", "promised"),
    [
        ("", 1000),
        ("bytes=0-9", 10),
        ("bytes=990-", 10),
        ("bytes=-5", 5),
        ("bytes=900-5000", 100),
        ("bytes=2000-", 0),
        ("bytes=-", 1000),
        ("lines=1-2", 1000),
    ],
)
def test_bytes_that_a_range_promises(tmp_path: Path, wanted: str, promised: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    assert Delivery(path, "file", "video/mp4", inline=True).promised_bytes(wanted) == promised


@pytest.mark.django_db
def test_dashboard_and_alerts_name_only_metrics_that_exist() -> None:
    text = metrics_text().decode()
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    histograms = {h.name for h in metrics.HISTOGRAMS}
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}

    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus-alerts.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    drawn = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for expression in [*drawn, *(alert["expr"] for alert in alerts)]:
        assert set(re.findall(r"videoproc_\w+", expression)) <= known, expression
    assert all(alert["annotations"]["summary"] and alert["labels"]["severity"] for alert in alerts)

    codes = next(alert["expr"] for alert in alerts if alert["alert"] == "VideoprocJobsFail")
    assert set(re.findall(r'code=~"([^"]+)"', codes)[0].split("|")) <= KINDS.keys()
    documented = (ROOT / "docs" / "monitoring.md").read_text()
    assert [alert["alert"] for alert in alerts if f"`{alert['alert']}`" not in documented] == []
    missing = [
        name for name in known if not name.endswith(("_bucket", "_sum", "_count")) and name not in documented
    ]
    assert missing == []
