"""Those who abuse the admin interface, a process of the least priority."""
import json
import pathlib
import re
import sys

from .process import Process

PROGRAM = pathlib.Path(__file__).with_name("abuse_main.py")
# How nlbd ends each kind: by a status, or without one. It is cut as well when
# there are too many of it.
REFUSED = {"slow": {"cut"}, "half-open": {"cut"}, "line": {"414", "431"},
           "host": {"421"}, "post": {"405"}, "uid": {"403"}}


def command(namespace, http, socket, kinds):
    """http: (address, port) of HttpListen; socket: the admin socket."""
    return namespace.command(["nice", "-n", 19, sys.executable, PROGRAM,
                              *http, socket, *kinds])


def result_of(text):
    """The one line of JSON among what an abuser wrote."""
    found = re.search(r"^\{.*\}$", text, re.M)
    assert found, f"an abuser ended without result:\n{text}"
    return json.loads(found[0])


class Abuse:
    """Of one kind, under way in a `with`; then what became of it."""

    def __init__(self, namespace, http, socket, kind):
        self._kind = kind
        self._process = Process(command(namespace, http, socket, [kind]),
                                name=kind)

    def __enter__(self):
        self._process.start()
        self._process.wait_line("^abusing$", 30)
        return self

    def wait_ended(self):
        """Until a try was ended by nlbd."""
        self._process.wait_line("^ended$", 30)

    def __exit__(self, kind, *rest):
        self._process.terminate()
        if kind is None:
            self.__dict__.update(
                result_of(self._process.text())[self._kind])
