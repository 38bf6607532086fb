"""Under systemd: the events in the journal, with codes, ids and fields."""
import contextlib
import os
import signal
import socket

import pytest

from lab import http, ini
from lab.daemon import NLBD, Daemon
from lab.netns import FRONT4, TARGET4
from lab.wait import wait_until

pytestmark = pytest.mark.quick

ERROR, NOTICE, INFO = "3", "5", "6"
DEADLINE_S = 20
# A /run of its own, where the journal's socket is the test's; and stderr,
# whatever it is, as the journal's stream.
UNDER_JOURNAL = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal &&
mount --bind "$1" /run/systemd/journal && shift &&
JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) && export JOURNAL_STREAM &&
exec "$@"
"""


class JournaledDaemon(Daemon):
    """nlbd, and what a journal hears of it."""

    def __init__(self, network, sections):
        super().__init__(network, sections)
        self.entries = []
        self._place = self.directory / "journal"
        self._place.mkdir()
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journal.bind(str(self._place / "socket"))
        self.journal.setblocking(False)

    def argv(self, *extra):
        return self.network.nlbd.command(
            ["unshare", "--mount", "sh", "-c", UNDER_JOURNAL, "sh",
             self._place, NLBD, "-c", self.config, *extra])

    def heard(self, event, **fields):
        """The first entry of that code with these fields, once it is
        there."""
        def look():
            with contextlib.suppress(BlockingIOError):
                while True:
                    text = self.journal.recv(65536).decode()
                    self.entries.append(dict(
                        line.split("=", 1) for line in text.splitlines()))
            wanted = {"NLBD_EVENT": event, **fields}
            return next((e for e in self.entries
                         if wanted.items() <= e.items()), None)
        return wait_until(look, DEADLINE_S, f"{event} in the journal")

    def close(self):
        self.journal.close()
        super().close()


@pytest.fixture
def nlbd(network, health):
    sections = ini.base(HttpListen=f"{FRONT4}:{http.PORT}")
    with JournaledDaemon(network, sections) as daemon:
        yield daemon.start()


def test_events_have_codes_ids_and_fields(network, nlbd):
    serving = nlbd.heard("serving")
    assert serving["PRIORITY"] == NOTICE
    assert serving["SYSLOG_IDENTIFIER"] == "nlbd"
    assert len(serving["MESSAGE_ID"]) == 32
    healthy = nlbd.heard("target-healthy")
    assert healthy["NLBD_TARGET"].startswith(TARGET4[0])
    assert healthy["NLBD_TARGET_GROUP"] == "smtp"
    assert healthy["NLBD_OLD_STATE"] == "initial"
    assert healthy["NLBD_STATE"] == "healthy"

    os.kill(nlbd.worker_pids()[0], signal.SIGKILL)
    assert nlbd.heard("worker-killed")["PRIORITY"] == ERROR

    nlbd.write(text="[nonsense]\n")
    assert nlbd.ctl_raw("reload").returncode != 0
    rejected = nlbd.heard("reload-rejected")
    assert "nonsense" in rejected["MESSAGE"]
    assert rejected["MESSAGE_ID"] != serving["MESSAGE_ID"]
    assert nlbd.heard("config-diagnostic")["PRIORITY"] == INFO
    # Nothing went the other way as well.
    assert nlbd.process.find_line("^<") is None
    # The same codes in the API.
    events = http.ask(network.client, FRONT4, "/v1/events").json()["events"]
    codes = [event["code"] for event in events]
    assert {"serving", "target-healthy", "worker-killed",
            "reload-rejected"} <= set(codes)


def test_without_the_journal_lines_have_priorities(nlbd):
    nlbd.heard("serving")
    nlbd.journal.close()
    nlbd.write(text="[nonsense]\n")
    assert nlbd.ctl_raw("reload").returncode != 0
    nlbd.process.wait_line(r"^<3>reload rejected", DEADLINE_S)
