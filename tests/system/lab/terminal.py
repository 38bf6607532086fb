"""A program on a terminal, and what a person would see there."""
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading

import pyte

from .wait import wait_until


class Terminal:
    """A child on a pseudo terminal, whose screen can be looked at."""

    def __init__(self, argv, rows=24, columns=80, env=None,
                 term="xterm"):
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""
        self._master, self._slave = pty.openpty()
        self._set_size(rows, columns)
        self.settings = termios.tcgetattr(self._slave)
        self._popen = subprocess.Popen(
            [str(a) for a in argv], stdin=self._slave, stdout=self._slave,
            stderr=self._slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, **(env or {}), "TERM": term})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    def _set_size(self, rows, columns):
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(rows, columns)

    def press(self, keys):
        os.write(self._master, keys.encode())

    def signal(self, number):
        self._popen.send_signal(number)

    def lines(self):
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def text(self):
        return "\n".join(self.lines())

    def wait_text(self, part, deadline_s=20):
        try:
            wait_until(lambda: part in self.text(), deadline_s,
                       f"'{part}' on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def wait_end(self, deadline_s=20):
        return self._popen.wait(deadline_s)

    def wait(self, deadline_s=20):
        """The exit code; the terminal's settings have to be the old ones."""
        code = self.wait_end(deadline_s)
        assert termios.tcgetattr(self._slave) == self.settings
        wait_until(lambda: self.raw.endswith(b"\x1b[?25h\x1b[?1049l"), 5,
                   "the cursor and the former screen are back")
        return code

    def close(self):
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()
        os.close(self._slave)
        self._reader.join(5)
        os.close(self._master)
