"""Chromium in a namespace, driven by browser/drive.js."""
import json
import os
import pathlib
import subprocess

from .daemon import REPOSITORY

DRIVER = pathlib.Path(__file__).resolve().parents[1] / "browser" / "drive.js"
MODULES = REPOSITORY / "build-node" / "node_modules"  # scripts/setup's


class Browser:
    def __init__(self, namespace, url):
        assert (MODULES / "playwright-core").is_dir(), \
            "no playwright-core: run scripts/setup"
        self._popen = subprocess.Popen(
            namespace.command(["node", DRIVER, url]), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(MODULES)})

    def __enter__(self):
        assert self._answer() == "open"
        return self

    def __exit__(self, *exc):
        self._popen.stdin.close()
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()

    def _answer(self):
        line = self._popen.stdout.readline()
        assert line, "the browser ended"
        return json.loads(line)

    def do(self, name, **options):
        self._popen.stdin.write(json.dumps({"name": name, **options}) + "\n")
        self._popen.stdin.flush()
        return self._answer()

    def texts(self, selector):
        return self.do("text", selector=selector)
