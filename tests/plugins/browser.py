"""Chromium without a network, driven by the WebDriver protocol over HTTP; nothing to install but the two programs."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def browser() -> str | None:
    """Path of the browser, or ``None`` where it or its driver is missing."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return found if found and shutil.which("chromedriver") else None


class Browser:
    """A browser with one page."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = ["chromedriver", f"--port={self.port}"]
        self.driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = ""

    def __enter__(self) -> Browser:
        try:
            for _ in range(150):
                try:
                    self._call("GET", "/status")
                    break
                except OSError:
                    time.sleep(0.2)
            options = {"args": FLAGS, "binary": browser()}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.driver.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(30)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if method != "POST" else json.dumps(body or {}).encode()
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self._call("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address: str, width: int = 1280, scheme: str = "light") -> None:
        """Open a page in a window of that width."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        preference = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[preference])
        self._call("POST", f"{self.session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self._call("POST", f"{self.session}/execute/sync", {"script": script, "args": arguments})

    def until(self, script: str, fits: Callable[[Any], bool], *arguments: Any) -> Any:
        """Run a script until what it returns fits, for ten seconds at most; return that."""
        for _ in range(100):
            if fits(found := self.run(script, *arguments)):
                break
            time.sleep(0.1)
        return found

    def type(self, keys: str) -> None:
        """Press and release keys on whatever has the focus."""
        pressed = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keys", "actions": pressed}]
        self._call("POST", f"{self.session}/actions", {"actions": actions})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return and forget the entries of a log."""
        return self._call("POST", f"{self.session}/se/log", {"type": kind})

    def requests(self) -> set[str]:
        """Addresses that were asked for since the last call, images in the page itself left out."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return {address for address in sent if not address.startswith("data:")}

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])
