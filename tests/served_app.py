"""The app as a person meets it: a server in a process of its own, and visitors in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT = 90_000  # ms; machines under load are slow
READY = "document.querySelector('#advisor-chat')?.innerText.includes('Describe your task')"


def browser_program():
    """The browser that is installed, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class ServedApp:
    """A server that can be killed and started again, at the same address and on the same runs."""

    def __init__(self, folder, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.runs, self.log = folder, folder / "runs", folder / "server.txt"
        self.address = f"http://127.0.0.1:{self.port}/"
        self._environment = environment
        self._process = None

    def start(self):
        app = [sys.executable, "-m", "hf_transfer_kit.cli", "app"]
        command = [*app, "--port", str(self.port), "--out", str(self.runs)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)} | self._environment
        with open(self.log, "a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        for _ in range(1200):
            assert self._process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(self.address, timeout=2).close()
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError(self.log.read_text())

    def kill(self):
        """As a power cut does it."""
        self._process.kill()
        self._process.wait(20)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)


class Visitor:
    """One person at the page. Notes every request that leaves the machine, and everything wrong in the console."""

    def __init__(self, browser, address, **options):
        self.address = address
        self._context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.page = self._context.new_page()
        self.page.set_default_timeout(WAIT)
        self.outside, self.wrong = [], []
        self.page.on("request", self._note_request)
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _note_request(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, query=""):
        self.page.goto(self.address + query)
        self.page.wait_for_function(READY)
        return self.page

    def close(self):
        """Also says what went wrong: toasts, requests to elsewhere, errors in the console."""
        toasts = [toast.inner_text() for toast in self.page.locator(".toast-body").all()]
        self._context.close()
        return toasts, self.outside, self.wrong


@contextmanager
def visiting(browser, address, query="", **options):
    """A visitor's page; in the end nothing may have gone wrong."""
    visitor = Visitor(browser, address, **options)
    yield visitor.open(query)
    assert visitor.close() == ([], [], [])
