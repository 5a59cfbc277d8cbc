"""Other people's clients, with the settings they come with: tus-js-client, Uppy, tuspy and curl."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from tusclient.client import TusClient

from tests.videos.conftest import Client
from videos import storage
from videos.models import Upload, Video

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "tus"
NODE = os.environ.get("VIDEOPROC_NODE", "node")
CONTENT = os.urandom(3_000_000)
# What a bundle for the browser offers to the tests.
BUNDLE = """
export { default as Uppy } from "@uppy/core";
export { default as Tus } from "@uppy/tus";
export * as tus from "tus-js-client";
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CONTENT)
    return path


def stored() -> bytes:
    return storage.source_path(Video.objects.get().pk).read_bytes()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("bundle") / "clients.js"
    command = [NODE, str(ROOT / "node_modules/esbuild/bin/esbuild"), "--bundle", "--format=iife"]
    command += ["--global-name=clients", "--loader=js", f"--outfile={target}", "--log-level=warning"]
    subprocess.run(command, check=True, input=BUNDLE, text=True, cwd=ROOT, timeout=60)
    return target.read_text()


class TestNode:
    def run(self, client: Client, clip: Path, **options: Any) -> dict[str, Any]:
        given = json.dumps({"authorization": client.headers["Authorization"], **options})
        argv = [NODE, str(FOLDER / "upload.mjs"), f"{client.url}/api/v1/uploads", str(clip), given]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def test_as_it_comes(self, alice_uploads: Client, clip: Path) -> None:
        assert self.run(alice_uploads, clip)["requests"] == 2
        assert stored() == CONTENT
        assert Video.objects.get().original_filename == "clip.mp4"

    @pytest.mark.parametrize(
        "options",
        [
            {"chunkSize": 1_000_000},
            {"uploadDataDuringCreation": True},
            {"overridePatchMethod": True},
            {"chunkSize": 500_000, "cutAfter": 1_000_000},
        ],
        ids=["chunks", "with creation", "override", "resumed"],
    )
    def test_with_its_options(self, alice_uploads: Client, clip: Path, options: dict[str, Any]) -> None:
        self.run(alice_uploads, clip, **options)
        assert stored() == CONTENT
        assert Upload.objects.count() == 1

    def test_in_parallel_parts(self, alice_uploads: Client, clip: Path) -> None:
        """Partial uploads, joined by a final one."""
        self.run(alice_uploads, clip, parallelUploads=4)
        assert stored() == CONTENT
        assert Video.objects.get().original_filename == "clip.mp4"
        assert Upload.objects.count() == 1


class TestBrowser:
    RESUMED = """async ([endpoint, Authorization, bytes]) => {
        const file = new File([Uint8Array.from(bytes)], "clip.mp4", { type: "video/mp4" });
        const settings = { endpoint, headers: { Authorization }, metadata: { filename: file.name } };
        await new Promise((resolve, reject) => {
            const first = new clients.tus.Upload(file, { ...settings, chunkSize: 100000, onError: reject,
                onChunkComplete: async (_size, accepted) => {
                    if (accepted < 200000) return;
                    await first.abort();
                    resolve();
                } });
            first.start();
        });
        // As after the page was loaded again: the browser remembers where the file went.
        const again = new clients.tus.Upload(file, settings);
        const [known] = await again.findPreviousUploads();
        again.resumeFromPreviousUpload(known);
        await new Promise((resolve, reject) => {
            Object.assign(again.options, { onError: reject, onSuccess: resolve });
            again.start();
        });
        return again.url;
    }"""
    UPPY = """async ([endpoint, Authorization, bytes]) => {
        const uppy = new clients.Uppy().use(clients.Tus, { endpoint, headers: { Authorization } });
        const pieces = [Uint8Array.from(bytes.slice(0, 1000)), Uint8Array.from(bytes)];
        pieces.forEach((data, number) =>
            uppy.addFile({ name: `clip-${number}.mp4`, type: "video/mp4", data: new File([data], "x") }));
        const result = await uppy.upload();
        return [result.successful.length, result.failed.length];
    }"""

    def run(self, bundle: str, client: Client, script: str) -> Any:
        """What the script returns, on a page of the same origin; Playwright's loop needs its own thread."""
        arguments = [f"{client.url}/api/v1/uploads", client.headers["Authorization"], list(CONTENT[:500_000])]

        def browse() -> Any:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=os.environ["VIDEOPROC_CHROMIUM"], args=["--no-sandbox"]
                )
                page = browser.new_page()
                # Any address of the server will do; its problem is a page of the same origin.
                page.goto(f"{client.url}/api/v1/nothing")
                page.add_script_tag(content=bundle)
                answer = page.evaluate(script, arguments)
                browser.close()
            return answer

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(browse).result(timeout=120)

    def test_tus_js_client_goes_on_after_the_page_was_left(self, bundle: str, alice_uploads: Client) -> None:
        self.run(bundle, alice_uploads, self.RESUMED)
        assert Upload.objects.count() == 1
        assert stored() == CONTENT[:500_000]

    def test_uppy_as_it_comes(self, bundle: str, alice_uploads: Client) -> None:
        assert self.run(bundle, alice_uploads, self.UPPY) == [2, 0]
        assert sorted(Video.objects.values_list("size", flat=True)) == [1000, 500_000]
        assert set(Video.objects.values_list("name", flat=True)) == {"clip-0", "clip-1"}


class TestPython:
    def test_tuspy_as_it_comes(self, alice_uploads: Client, clip: Path) -> None:
        client = TusClient(f"{alice_uploads.url}/api/v1/uploads", headers=dict(alice_uploads.headers))
        with clip.open("rb") as file:
            uploader: Any = client.uploader(file_stream=file)
            uploader.upload()
        assert stored() == CONTENT

    def test_tuspy_with_checksums(self, alice_uploads: Client, clip: Path) -> None:
        client = TusClient(f"{alice_uploads.url}/api/v1/uploads", headers=dict(alice_uploads.headers))
        with clip.open("rb") as file:
            uploader: Any = client.uploader(file_stream=file, chunk_size=1_000_000, upload_checksum=True)
            uploader.upload()
        assert stored() == CONTENT


class TestCurl:
    def curl(self, client: Client, *arguments: str) -> str:
        command = [
            "curl",
            "-sS",
            "--fail-with-body",
            "-i",
            "-H",
            f"Authorization: {client.headers['Authorization']}",
        ]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def test_one_line(self, alice_uploads: Client, clip: Path) -> None:
        self.curl(alice_uploads, "-F", f"file=@{clip}", f"{alice_uploads.url}/api/v1/videos")
        assert stored() == CONTENT

    def test_a_raw_body_from_a_pipe(self, alice_uploads: Client, clip: Path) -> None:
        address = f"{alice_uploads.url}/api/v1/videos?filename=clip.mp4"
        command = ["curl", "-sS", "--fail-with-body", "-X", "POST", "-T", "-", address]
        command += ["-H", f"Authorization: {alice_uploads.headers['Authorization']}"]
        with clip.open("rb") as source:
            subprocess.run(command, stdin=source, check=True, capture_output=True, timeout=60)
        assert stored() == CONTENT

    def test_resumed_by_hand(self, alice_uploads: Client, clip: Path, tmp_path: Path) -> None:
        path = alice_uploads.created(len(CONTENT))
        for offset, end in ((0, 1_000_000), (1_000_000, len(CONTENT))):
            part = tmp_path / "part"
            part.write_bytes(CONTENT[offset:end])
            self.curl(
                alice_uploads, "-X", "PATCH", "-T", str(part), "-H", "Tus-Resumable: 1.0.0",
                "-H", f"Upload-Offset: {offset}", "-H", "Content-Type: application/offset+octet-stream",
                alice_uploads.url + path,
            )  # fmt: skip
        assert stored() == CONTENT
