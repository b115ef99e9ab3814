"""The app of a page, served by the command that the page has for it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from scripts.local.variables import WEB_ORIGINS
from tests.support.markdown import Page
from tests.support.reader import Scene

_DOCUMENTED_APP = "127.0.0.1:5173"
_SECONDS = 30


@contextmanager
def served_app(page: Page, scene: Scene) -> Iterator[str]:
    """The address at which the page's own command serves its files, at one of the origins that the API allows."""
    (block,) = (block for block in page.blocks if block.is_marked("app"))
    scene.prepare()
    scene.write_files(page)
    netloc = _free_origin()
    process = subprocess.Popen(
        ["bash", "-c", f"exec {block.text.replace(_DOCUMENTED_APP, netloc)}"],
        cwd=scene.folder,
        env=scene.environment,
        stdin=subprocess.PIPE,  # kept open, like a terminal's: esbuild stops serving at its end
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        _await_app(netloc, process)
        yield f"http://{netloc}"
    finally:
        _kill(process)
        process.stdin.close()
        process.stderr.close()


def _kill(process: subprocess.Popen[str]) -> None:
    """With what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_origin() -> str:
    """One of the addresses of web apps on a laptop. Raises AssertionError where others have taken them all."""
    for origin in WEB_ORIGINS:
        address = urlsplit(origin)
        with socket.socket() as probe:
            if address.hostname == "127.0.0.1" and probe.connect_ex(("127.0.0.1", address.port or 0)):
                return address.netloc
    raise AssertionError(f"something else serves at each of {', '.join(WEB_ORIGINS)}")


def _await_app(netloc: str, process: subprocess.Popen[str]) -> None:
    host, _, port = netloc.partition(":")
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.05)
    assert process.stderr is not None
    _kill(process)
    raise AssertionError(f"the app is not served: {process.stderr.read()}")
