"""One request, followed through real processes: its id in log lines, its trace, and what /metrics says."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from jobs.models import Job
from tests.jobs.web import Site
from tests.jobs.worker import Worker, wait_for
from users.models import User
from users.services import token_create
from videos.models import Video

REQUEST_ID = "request-0123456789"
METRICS_TOKEN = "metrics-token-0123456789"


class Collector:
    """An OTLP/HTTP receiver as small as can be."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                spans.extend(s for r in request.resource_spans for sc in r.scope_spans for s in sc.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("127.0.0.1", timeout=30)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._address))


def _ask(site: Site, method: str, path: str, token: str, body: Any = None) -> tuple[int, bytes]:
    connection = _UnixConnection(site.address)
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": REQUEST_ID}
    headers |= {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_a_request_is_followed_from_the_post_to_the_published_result(
    worker_environment: dict[str, str], tmp_path: Path, collector: Collector, alice: User, video: Video
) -> None:
    environment = {
        **worker_environment,
        "VIDEOPROC_LOG_FORMAT": "json",
        "VIDEOPROC_METRICS_TOKEN": METRICS_TOKEN,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    _, token = token_create(user=alice, name="test")
    web_log, worker_log = tmp_path / "web.log", tmp_path / "worker.log"
    worker = Worker("short,encode", 1, {**environment, "VIDEOPROC_PROCESS": "worker"}, worker_log)
    site = Site(tmp_path / "web.sock", {**environment, "VIDEOPROC_PROCESS": "web"}, web_log)
    try:
        status, body = _ask(
            site,
            "POST",
            f"/api/v1/videos/{video.id}/operations",
            token,
            {"type": "resize", "parameters": {"width": 160}},
        )
        assert status in {200, 201, 202}, body
        job = Job.objects.get()
        worker.wait_until_ready()
        wait_for(
            lambda: Job.objects.get(id=job.id).status == Job.Status.COMPLETED, seconds=60, what="completed"
        )
        wait_for(lambda: collector.named("step encode"), seconds=20, what="the step's span has come")
        wait_for(
            lambda: _has_figures(_ask(site, "GET", "/metrics", METRICS_TOKEN)[1]),
            seconds=30,
            what="the figures of all processes have come",
        )
    finally:
        worker.destroy()
        site.process.terminate()
        site.process.wait()

    _check_logs(_lines(web_log), _lines(worker_log), job, alice, video)
    assert token not in web_log.read_text() + worker_log.read_text()
    assert METRICS_TOKEN not in web_log.read_text()
    _check_spans(collector, job)


def _check_logs(
    web: list[dict[str, Any]], worker: list[dict[str, Any]], job: Job, alice: User, video: Video
) -> None:
    asked = next(line for line in web if line["message"] == f"job {job.id} (resize) waits")
    assert (asked["request_id"], asked["user_id"], asked["process"]) == (REQUEST_ID, alice.id, "web")
    post = next(line for line in web if line["message"].startswith("POST /api/v1/videos/"))
    assert (post["request_id"], post["user_id"]) == (REQUEST_ID, alice.id)
    assert post["trace_id"] == asked["trace_id"]

    of_job = [line for line in worker if line.get("job_id") == job.id]
    assert {line["request_id"] for line in of_job} == {REQUEST_ID}
    encode = next(line for line in of_job if line["message"].startswith("ffmpeg exited with 0"))
    step = job.steps.get()
    assert (encode["step_id"], encode["attempt"], encode["user_id"]) == (step.id, 1, alice.id)
    assert "scale" in encode["message"]
    assert encode["trace_id"] == asked["trace_id"]
    assert any(line["message"] == f"job {job.id} (resize) is completed" for line in of_job)


def _check_spans(collector: Collector, job: Job) -> None:
    assert job.trace is not None
    post = next(span for span in collector.spans if span.name.startswith("POST /api/v1/videos/"))
    (step,) = collector.named("step encode")
    assert job.trace["traceparent"].split("-")[1:3] == [post.trace_id.hex(), post.span_id.hex()]
    assert step.parent_span_id == post.span_id
    for name in ("claim", "ffmpeg", "verify", "publish"):
        children = collector.named(name)
        assert children, name
        assert {span.trace_id for span in children} == {post.trace_id}
    assert collector.named("ffmpeg")[0].parent_span_id == step.span_id
    # Their parts are told, not what people wrote.
    told = {item.key for span in collector.spans for item in span.attributes}
    assert {"videoproc.job_id", "videoproc.request_id", "command", "http.route"} <= told


def _has_figures(text: bytes) -> bool:
    """Whether what each process sends every two seconds has come, next to what earlier tests have left."""
    families = {family.name: family.samples for family in text_string_to_metric_families(text.decode())}
    finished = [(s.labels, s.value) for s in families.get("videoproc_jobs_finished", [])]
    # The name of the test's worker stands where the lane's does.
    workers = {s.labels["lane"]: s.value for s in families.get("videoproc_workers", [])}
    requests = {(s.labels["route"], s.labels["method"]) for s in families.get("videoproc_http_requests", [])}
    pool = {s.labels["process"] for s in families.get("videoproc_db_pool_connections", [])}
    return (
        ({"operation": "resize", "status": "completed"}, 1.0) in finished
        and b"videoproc_step_duration_seconds_count{" in text
        and workers.get("worker") == 1
        and ("api", "POST") in requests
        and {"web", "worker"} <= pool
    )
