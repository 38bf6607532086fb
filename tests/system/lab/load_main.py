"""Client sessions at a given rate, each with one outcome.

A session connects, reads the greeting, has one line echoed (with --smtp: it
submits a mail and says QUIT), sends FIN and waits for FIN. `held` sessions
stay and do the same again every 0.2 s until the end. Runs until `--count`
sessions are done or stdin closes; prints one JSON object with the outcomes.

Outcomes: ok; refused, connect-reset, connect-timeout (never connected);
reset, eof (after the connect: the stream was cut); silent (no answer within
the deadline); wrong (bytes that are not the expected ones).
"""
import argparse
import collections
import errno
import heapq
import itertools
import json
import select
import socket
import sys
import time

PING_S = 0.2
CONNECTING, GREETING, TALKING, CLOSING, RESTING = range(5)


class Echo:
    """A line and the same line back."""
    opening, farewell = [], []

    @staticmethod
    def round(session):
        session.rounds += 1
        line = (f"{session.number} {session.rounds} " + "x" * 40
                + "\r\n").encode()
        return [(line, line)]

    @staticmethod
    def is_whole(reply):
        return reply.endswith(b"\r\n")


class Smtp:
    """A mail, from MAIL to the 250 that takes it over."""
    opening = [(b"EHLO client.example.test\r\n", b"250")]
    farewell = [(b"QUIT\r\n", b"221 ")]

    @staticmethod
    def round(session):
        session.rounds += 1
        body = (f"Subject: {session.number} {session.rounds}\r\n\r\n"
                + ("x" * 70 + "\r\n") * 20 + ".\r\n").encode()
        return [(b"MAIL FROM:<alice@example.test>\r\n", b"250 "),
                (b"RCPT TO:<bob@example.test>\r\n", b"250 "),
                (b"DATA\r\n", b"354 "), (body, b"250 ")]

    @staticmethod
    def is_whole(reply):
        last = reply[:-2].rpartition(b"\r\n")[2]
        return reply.endswith(b"\r\n") and last[3:4] == b" "


class Session:
    def __init__(self, load, number, held):
        self.number, self.held = number, held
        self.state = CONNECTING
        self.started = time.monotonic()
        self.received = b""
        self.target = None
        self.rounds = 0
        self.script = collections.deque()  # (to send, how the reply begins)
        source = load.sources[number % len(load.sources)]
        self.sock = socket.socket(
            socket.AF_INET6 if ":" in load.to[0] else socket.AF_INET,
            socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # port chosen late
        self.sock.bind((source, 0))
        self.error = self.sock.connect_ex(load.to)


class Load:
    def __init__(self, options):
        host, _, port = options.to.rpartition(":")
        self.to = (host.strip("[]"), int(port))
        self.options = options
        self.sources = options.sources
        self.epoll = select.epoll()
        self.sessions = {}
        self.timers = []  # (time, tie, session): deadlines and pings
        self.tie = itertools.count()
        self.outcomes = collections.Counter()
        self.held_outcomes = collections.Counter()
        self.targets = collections.Counter()
        self.by_source = collections.defaultdict(set)
        self.slowest_connect = 0.0
        self.talk = Smtp if options.smtp else Echo
        self.done_rounds = 0
        self.started = 0

    def start(self, held=False):
        session = Session(self, self.started, held)
        self.started += 1
        if session.error not in (0, errno.EINPROGRESS):
            self.finish(session, connect_outcome(session.error))
            return
        self.sessions[session.sock.fileno()] = session
        self.epoll.register(session.sock.fileno(), select.EPOLLOUT)
        self.arm(session, self.options.deadline)

    def arm(self, session, seconds):
        session.due = time.monotonic() + seconds
        heapq.heappush(self.timers, (session.due, next(self.tie), session))

    def finish(self, session, outcome):
        fd = session.sock.fileno()
        self.sessions.pop(fd, None)
        session.sock.close()
        counter = self.held_outcomes if session.held else self.outcomes
        counter[outcome] += 1
        if outcome not in ("ok", "stopped") and session.held:
            print(f"held flow {session.number}: {outcome} in state "
                  f"{session.state}", file=sys.stderr)
        session.state = None

    def on_event(self, session):
        if session.state == CONNECTING:
            error = session.sock.getsockopt(socket.SOL_SOCKET,
                                            socket.SO_ERROR)
            if error:
                self.finish(session, connect_outcome(error))
                return
            took = time.monotonic() - session.started
            self.slowest_connect = max(self.slowest_connect, took)
            session.state = GREETING
            self.epoll.modify(session.sock.fileno(), select.EPOLLIN)
            return
        try:
            data = session.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self.finish(session, "reset")
            return
        if not data:
            self.finish(session,
                        "ok" if session.state == CLOSING else "eof")
            return
        session.received += data
        if self.talk.is_whole(session.received):
            self.on_reply(session)

    def on_reply(self, session):
        reply, session.received = session.received, b""
        if session.state == GREETING and reply.startswith(b"220 "):
            session.target = reply.split()[1].decode()
            self.targets[session.target] += 1
            source = session.sock.getsockname()[0]
            self.by_source[source].add(session.target)
            session.script.extend(self.talk.opening)
            self.begin_round(session)
        elif (session.state == TALKING
                and reply.startswith(session.script[0][1])):
            session.script.popleft()
            self.go_on(session)
        else:
            print(f"session {session.number}: {reply!r} in state "
                  f"{session.state}", file=sys.stderr)
            self.finish(session, "wrong")

    def begin_round(self, session):
        session.state = TALKING
        session.script.extend(self.talk.round(session))
        if not session.held:
            session.script.extend(self.talk.farewell)
        self.go_on(session)

    def go_on(self, session):
        """The next line of the script, a rest, or the end."""
        if session.script:
            try:
                session.sock.send(session.script[0][0])
            except OSError:
                self.finish(session, "reset")
                return
            self.arm(session, self.options.deadline)
        elif session.held:
            self.done_rounds += 1
            session.state = RESTING
            self.arm(session, PING_S)
        else:
            self.done_rounds += 1
            session.state = CLOSING
            try:
                session.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self.finish(session, "reset")

    def run_timers(self):
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            due, _, session = heapq.heappop(self.timers)
            if session.state is None or due != session.due:
                continue
            if session.state == RESTING:
                self.begin_round(session)
            else:
                self.finish(session, "connect-timeout"
                            if session.state == CONNECTING else "silent")

    def held_now(self):
        return sum(s.held for s in self.sessions.values())

    def run(self):
        options = self.options
        for _ in range(options.hold):
            self.start(held=True)
        self.epoll.register(0, select.EPOLLIN)
        begin, rated, stopping = time.monotonic(), 0, False
        while True:
            done = sum(self.outcomes.values())
            if done >= options.count > 0:
                break
            running = len(self.sessions) - self.held_now()
            if stopping and running == 0:
                break
            due = int((time.monotonic() - begin) * options.rate)
            while (not stopping and rated < due and running
                   < options.concurrency
                   and (not options.count or rated < options.count)):
                self.start()
                rated += 1
                running += 1
            for fd, _ in self.epoll.poll(0.002):
                if fd == 0:
                    stopping = True
                    self.epoll.unregister(0)
                elif fd in self.sessions:
                    self.on_event(self.sessions[fd])
            self.run_timers()
        seconds = time.monotonic() - begin
        for session in list(self.sessions.values()):
            healthy = session.state in (TALKING, RESTING)
            self.finish(session, "ok" if healthy else "silent")
        print(json.dumps({
            "outcomes": self.outcomes, "held": self.held_outcomes,
            "targets": self.targets, "rate": rated / seconds,
            "by_source": {s: sorted(t) for s, t in self.by_source.items()},
            "rounds": self.done_rounds,
            "slowest_connect": self.slowest_connect}), flush=True)


def connect_outcome(error):
    return {errno.ECONNREFUSED: "refused",
            errno.ETIMEDOUT: "connect-timeout"}.get(error, "connect-reset")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True)
    parser.add_argument("--sources", nargs="+", required=True)
    parser.add_argument("--rate", type=float, default=1e9)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--hold", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--deadline", type=float, default=15)
    parser.add_argument("--smtp", action="store_true")
    Load(parser.parse_args()).run()


if __name__ == "__main__":
    main()
