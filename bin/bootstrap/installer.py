"""Get uv, the installer, in whichever way this machine allows; each way checks the locked hashes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

from bootstrap import indexes
from bootstrap.console import SetupFailed, run

LOCK = Path(__file__).with_name("uv.txt")
LINK = re.compile(r'<a[^>]*href="([^"]+)"[^>]*>\s*([^<]+?)\s*</a>')


def find_uv(home: Path) -> Path | None:
    """A uv to call; None if this machine offers no way to get one."""
    mark = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = home / ".tools" / f"uv-{mark}"
    for ready in (folder / "bin" / "uv", Path(shutil.which("uv") or folder)):
        if ready.is_file():
            return ready
    folder.parent.mkdir(exist_ok=True)
    draft = folder.with_name(f"{folder.name}.new")
    for way in (_by_pip, _by_own_pip, _by_download):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            way(draft)
        except (SetupFailed, OSError, ValueError, zipfile.BadZipFile):
            continue
        if (draft / "bin" / "uv").is_file():
            draft.rename(folder)
            return folder / "bin" / "uv"
    shutil.rmtree(draft, ignore_errors=True)
    return None


def _by_pip(draft: Path) -> None:
    # With --target nothing of the system is touched, which Debian's pip allows.
    _pip_install(Path(sys.executable), draft)


def _by_own_pip(draft: Path) -> None:
    """Debian may come without pip but with the means to make an environment that has it."""
    environment = draft.with_name("pip")
    shutil.rmtree(environment, ignore_errors=True)
    run([sys.executable, "-m", "venv", environment], environment=os.environ)
    try:
        _pip_install(environment / "bin" / "python", draft)
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def _pip_install(python: Path, target: Path) -> None:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-warn-script-location"]
    run(
        [python, "-m", "pip", "install", *options, "--target", target, "-r", LOCK],
        environment={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        seconds=300,
    )


def _by_download(draft: Path) -> None:
    """No pip at all: take the wheel from the index by hand. Raises SetupFailed, OSError, ValueError."""
    address = indexes.index_url().rstrip("/") + "/uv/"
    page = _fetch(address, accept="application/vnd.pypi.simple.v1+json, text/html;q=0.5")
    url = _wheel_url(page.decode(), address)
    wheel = _fetch(url, accept="*/*")
    if hashlib.sha256(wheel).hexdigest() not in LOCK.read_text(encoding="utf-8"):
        raise SetupFailed(f"{url} is not the locked file")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        program = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        target = draft / "bin" / "uv"
        target.parent.mkdir(parents=True)
        target.write_bytes(archive.read(program))
        target.chmod(0o755)


def _fetch(url: str, *, accept: str) -> bytes:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise SetupFailed(f"{url}: not an address on the web")
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(plain, headers={"Accept": accept})  # noqa: S310 - checked above
    if parts.username:
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        passwords.add_password(None, plain, user, password, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    else:
        opener = urllib.request.build_opener()
    with opener.open(request, timeout=120) as answer:
        content: bytes = answer.read()
    return content


def _wheel_url(page: str, address: str) -> str:
    version = LOCK.read_text(encoding="utf-8").split("==", 1)[1].split()[0]
    tag = _platform_tag()
    for name, href in _files(page):
        if name.startswith(f"uv-{version}-") and name.endswith(".whl") and re.search(tag, name):
            return urllib.parse.urljoin(address, href.partition("#")[0])
    raise SetupFailed(f"there is no uv {version} for this platform")


def _files(page: str) -> list[tuple[str, str]]:
    try:
        return [(file["filename"], file["url"]) for file in json.loads(page)["files"]]
    except ValueError:
        return [(name, href) for href, name in LINK.findall(page)]


def _platform_tag() -> str:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if sys.platform == "darwin":
        return rf"macosx_\d+_\d+_{machine}\."
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return rf"{libc}[0-9a-z_]*_{machine}\."
