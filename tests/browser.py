"""A real browser for tests: Debian's chromium without a screen, spoken to over a pipe, with no network at all.

The protocol is that of Chrome DevTools: JSON objects that end with a zero byte, on file descriptors 3 (to the browser)
and 4 (from it).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "there is no chromium here: apt-get install chromium (.ci/run does it where it may), or set CHROMIUM to it"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--force-device-scale-factor=1", "--remote-debugging-pipe"),
)
PATIENCE = 60.0
Scheme = Literal["light", "dark"]


def find_browser() -> str | None:
    """The path of a browser, None if there is none."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(slots=True)
class Page:
    """One page that is open; what it told and asked for since it was opened is remembered."""

    send: Callable[..., dict[str, Any]]
    requests: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Console messages, exceptions, refusals of the content security policy, and dialogs."""

    loaded: threading.Event = field(default_factory=threading.Event)

    def open(self, file: Path, *, width: int, height: int, scheme: Scheme = "light") -> None:
        """Load a file in a window of this size and wait until that is done."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.requests.clear()
        self.told.clear()
        self.loaded.clear()
        self.send("Page.navigate", url=file.as_uri())
        assert self.loaded.wait(PATIENCE), f"{file} was not loaded"

    def look(self, script: str) -> Any:
        """The value of an expression of JavaScript, which is evaluated beside the page's own policy."""
        reply = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, file: Path) -> None:
        """Keep what is seen, from the top to the end of the page."""
        shown = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shown["data"]))

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Take note of an event."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded.set()
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.told.append(json.dumps(params))
        elif method == "Page.javascriptDialogOpening":
            self.told.append(f"dialog: {params['message']}")


class Browser:
    """A browser that runs; pages are opened in its one tab."""

    def __init__(self, path: str, folder: Path) -> None:
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$@" 3<&{to_browser} 4>&{from_browser}',
                "sh",
                path,
                *FLAGS,
                f"--user-data-dir={folder}",
            ],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._last = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._ended = False
        self._session: str | None = None
        self.page = Page(send=self.send)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def attach(self) -> None:
        """Open a tab and listen to it."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command and its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        with self._news:
            found = self._news.wait_for(lambda: self._last in self._answers or self._ended, PATIENCE)
            assert found, f"{method} took too long"
            assert self._last in self._answers, f"the browser does not answer {method}"
            answer = self._answers.pop(self._last)
        assert "error" not in answer, f"{method}: {answer}"
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        """End the browser with all its processes."""
        with suppress(AssertionError, OSError):
            self.send("Browser.close")
        os.close(self._to)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(10)
        os.close(self._from)

    def _listen(self) -> None:
        rest = b""
        while chunk := os.read(self._from, 1 << 20):
            *whole, rest = (rest + chunk).split(b"\0")
            for text in whole:
                self._take(json.loads(text))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self.page.hear(message["method"], message.get("params", {}))
            return
        with self._news:
            self._answers[message["id"]] = message
            self._news.notify_all()


@contextmanager
def running_browser(path: str, folder: Path) -> Iterator[Page]:
    """The one page of a browser that is ended afterwards."""
    browser = Browser(path, folder)
    try:
        browser.attach()
        yield browser.page
    finally:
        browser.close()
        for _ in range(20):  # its helpers write for a moment after it has ended
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)
