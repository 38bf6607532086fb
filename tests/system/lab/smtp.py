"""SMTP servers on several addresses, and sessions with them that stay open."""
import contextlib
import json
import signal

from .daemon import BUILD
from .peers import FIN, connect
from .process import Process

SMTP_TARGET = BUILD / "bench" / "nlbd-smtp-target"


class SmtpTargets:
    """One server for each address; it greets with the address as its name."""

    def __init__(self, network, addresses, port):
        self._processes = {address: Process(network.server.command(
            [SMTP_TARGET, "--listen", f"{address}:{port}", "--name",
             address]), name=f"SMTP target {address}")
            for address in addresses}

    def __enter__(self):
        for process in self._processes.values():
            process.start()
        for process in self._processes.values():
            process.wait_line("listening on", 10)
        return self

    def __exit__(self, *exc):
        for process in self._processes.values():
            process.terminate()

    def mails(self):
        """Mails accepted by all of them."""
        return sum(self._counts(process)["messages"]
                   for process in self._processes.values())

    @staticmethod
    def _counts(process):
        before = len(process.lines)
        process.signal(signal.SIGUSR1)
        return json.loads(process.wait_line(r"^\{.*\}$", 10, before)[0])


class MailSession:
    """A client in the middle of an SMTP session."""

    def __init__(self, network, address, source=None):
        self.peer = connect(network.client, address, source)
        self.target = self._reply("220").split()[1]
        self._command("EHLO client.example.test", "250")

    def _line(self):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.peer.recv_exactly(1)
        return line.decode().rstrip()

    def _reply(self, code):
        line = self._line()
        while line[3:4] == "-":
            line = self._line()
        assert line.startswith(code), line
        return line

    def _command(self, text, code):
        self.peer.send(f"{text}\r\n".encode())
        return self._reply(code)

    def submits(self):
        """One mail, from MAIL to the 250 that takes it over."""
        self._command("MAIL FROM:<alice@example.test>", "250")
        self._command("RCPT TO:<bob@example.test>", "250")
        self._command("DATA", "354")
        return self._command("Subject: live\r\n\r\nhello\r\n.", "250")

    def quits(self):
        self._command("QUIT", "221")
        self.peer.finish()
        return self.peer.read_to_end() == FIN

    def close(self):
        self.peer.sock.close()


@contextlib.contextmanager
def mail_sessions(network, address, targets, each=2):
    """Sessions for the span of a `with`: {target: at least `each` of them}."""
    sessions = {target: [] for target in targets}
    try:
        for _ in range(100 * len(targets)):
            session = MailSession(network, address)
            sessions[session.target].append(session)
            if all(len(own) >= each for own in sessions.values()):
                break
        assert all(len(own) >= each for own in sessions.values())
        yield sessions
    finally:
        for own in sessions.values():
            for session in own:
                session.close()
