"""The unit file that ships, and nlbd under what it says."""
import contextlib
import os
import pathlib
import re
import socket
import sys

from .daemon import BUILD, NLBCTL, NLBD, REPOSITORY, Daemon
from .process import Process
from .wait import wait_until

UNIT = REPOSITORY / "config" / "systemd" / "nlbd.service"
MAIN = pathlib.Path(__file__).parent / "unit_main.py"
NOBODY = 65534
PROGRAMS = {"/usr/sbin/nlbd": NLBD, "/usr/bin/nlbctl": NLBCTL}


def values(key):
    """All that the unit says to a key."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


class UnitDaemon(Daemon):
    """nlbd as the unit starts it: not root, a read-only file system, one
    capability, the unit's system calls; and the service manager's socket."""

    def __init__(self, network, sections):
        super().__init__(network, sections)
        self.run_directory = self._writable("run")
        self.socket = self.run_directory / "nlbd.sock"
        self.flow_log_path = self._writable("log") / "flows.log"
        self.write(sections)
        self.told = []  # what came for the service manager
        path = self.run_directory / "notify"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(path))
        self._manager.setblocking(False)
        path.chmod(0o666)

    def _writable(self, name):
        path = self.directory / name
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
        return path

    def confined(self, argv):
        """argv under the unit's restrictions."""
        writable = [self.run_directory, self.flow_log_path.parent]
        return [sys.executable, MAIN, UNIT, NOBODY,
                *[f"--writable={path}" for path in writable],
                *[f"--visible={path}" for path in (BUILD, self.directory)],
                "--", *argv]

    def argv(self, *extra):
        return self.network.nlbd.command(
            self.confined([NLBD, "-c", self.config, *extra]))

    def environment(self):
        (seconds,) = values("WatchdogSec")
        return {**super().environment(),
                "NOTIFY_SOCKET": str(self.run_directory / "notify"),
                "WATCHDOG_USEC": str(int(seconds) * 1_000_000)}

    def heard(self, field, deadline_s):
        """Until the service manager was told a field."""
        def look():
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.told += self._manager.recv(4096).decode().split("\n")
            return field in self.told
        return wait_until(look, deadline_s, f"{field} for systemd")

    def exec_reload(self):
        """systemctl reload: each line of ExecReload until one fails. The
        last exit code, and all that was said."""
        text = ""
        for line in values("ExecReload"):
            program, *arguments = line.split()
            process = Process(self.confined(
                [PROGRAMS[program], "-s", self.socket, *arguments])).start()
            code = process.wait(20)
            text += process.text()
            if code != 0:
                break
        return code, text

    def close(self):
        self._manager.close()
        super().close()
