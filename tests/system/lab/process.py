"""Processes of a test: started, watched line by line, always ended."""
import re
import signal
import subprocess
import threading

from .wait import wait_until

REST_S = 0.5  # for the last lines; a child may keep the pipe open


class Process:
    """A child whose stderr (and stdout) is collected line by line."""

    def __init__(self, argv, name=None, env=None, stdin=None, cwd=None,
                 pass_fds=()):
        self.argv = [str(a) for a in argv]
        self.name = name or self.argv[0]
        self.lines = []
        self._env, self._stdin, self._cwd = env, stdin, cwd
        self._pass_fds = pass_fds
        self._popen = None
        self._reader = None

    def start(self):
        self._popen = subprocess.Popen(
            self.argv, stdin=self._stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._env,
            cwd=self._cwd, text=True, errors="backslashreplace",
            pass_fds=self._pass_fds)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self):
        for line in self._popen.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self._popen.pid

    @property
    def stdin(self):
        return self._popen.stdin

    @property
    def running(self):
        return self._popen is not None and self._popen.poll() is None

    def text(self):
        return "\n".join(self.lines)

    def find_line(self, pattern, start=0):
        found = (re.search(pattern, line) for line in self.lines[start:])
        return next((match for match in found if match), None)

    def wait_line(self, pattern, deadline_s, start=0):
        """Until a line from index `start` on matches; returns the match."""
        def look():
            match = self.find_line(pattern, start)
            if match is None and not self.running:
                self._reader.join(REST_S)
                match = self.find_line(pattern, start)
                assert match, (f"{self.name} ended with {self._popen.poll()} "
                               f"before /{pattern}/:\n{self.text()}")
            return match
        try:
            return wait_until(look, deadline_s, f"{self.name}: /{pattern}/")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, deadline_s):
        """Waits for the end; returns the exit code."""
        try:
            code = self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {deadline_s} s"
                                 f":\n{self.text()}") from None
        self._reader.join(REST_S)
        return code

    def terminate(self, deadline_s=5):
        """Ends it, with force if need be; returns the exit code or None."""
        if self._popen is None:
            return None
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        code = self._popen.wait()
        self._reader.join(REST_S)
        return code

    def kill(self):
        if self.running:
            self._popen.kill()
        self._popen.wait()
        self._reader.join(REST_S)
