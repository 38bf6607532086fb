"""Those who abuse the admin interface, each a process of the least priority."""
import json
import pathlib
import re
import sys

from .process import Process

PROGRAM = pathlib.Path(__file__).with_name("abuse_main.py")
NOBODY = 65534
# How nlbd ends each kind: a status, or without one.
REFUSED = {"slow": {"cut"}, "half-open": {"cut"},
           "line": {"cut", "414", "431"}, "host": {"421"}, "post": {"405"},
           "uid": {"403"}}


def command(namespace, kind, where):
    """where: the (address, port) of HttpListen; of uid: the admin socket."""
    program = ["nice", "-n", 19, sys.executable, PROGRAM, kind]
    if kind == "uid":
        return ["setpriv", f"--reuid={NOBODY}", "--clear-groups",
                *map(str, program), str(where)]
    return namespace.command([*program, *where])


def result_of(text):
    """The one line of JSON among what an abuser wrote."""
    found = re.search(r"^\{.*\}$", text, re.M)
    assert found, f"an abuser ended without result:\n{text}"
    return json.loads(found[0])


class Abuse:
    """Under way in a `with`; then what became of it."""

    def __init__(self, namespace, kind, where):
        self._process = Process(command(namespace, kind, where), name=kind)

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
            self.__dict__.update(result_of(self._process.text()))
