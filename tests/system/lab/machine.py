"""A clean Debian system with nlbd installed from its package, and the nlbd that
runs there."""
import pathlib
import pty
import os
import re
import shlex
import shutil
import subprocess
import tempfile

from .daemon import Daemon
from .process import Process
from .wait import wait_until

UNIT = "lib/systemd/system/nlbd.service"
SYSTEMCTL = "usr/local/sbin/systemctl"
# apt-get comes there as to an operator; no library of this machine does.
APT_INSTALL = ("chroot \"$1\" apt-get -q -y --no-install-recommends install"
               " /root/nlbd.deb")


def sources():
    """The lines of sources.list for what this machine gets from Debian."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format",
         "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages",
         "Origin: Debian"], capture_output=True, text=True, check=True)
    return sorted(set(done.stdout.splitlines()))


def release():
    text = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)", text, re.MULTILINE)[1]


class Machine:
    """The file system of a fresh installation, made from Debian's archive.

    Commands run there with that root and a /proc, in a network namespace."""

    def __init__(self, network, package):
        self.network = network
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-machine-")
        self.root = pathlib.Path(self._directory.name) / "root"
        self.root.parent.chmod(0o755)
        done = subprocess.run(
            ["mmdebstrap", "--mode=root", "--format=directory", "--quiet",
             "--variant=apt", "--include=bash-completion",
             "--aptopt=Acquire::Retries \"3\"",
             f"--customize-hook=upload {shlex.quote(str(package))}"
             " /root/nlbd.deb",
             f"--customize-hook={APT_INSTALL}",
             release(), self.root, *filter(None, ["\n".join(sources())])],
            capture_output=True, text=True, errors="backslashreplace",
            stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            self.close()
            raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])

    def command(self, argv):
        """argv in there; the process keeps the pid it starts with."""
        enter = ("mount -t proc proc \"$0/proc\" && exec env -i"
                 " PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
                 " HOME=/root TERM=dumb LC_ALL=C.UTF-8 chroot \"$0\" \"$@\"")
        return self.network.nlbd.command(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             enter, self.root, *argv])

    def run(self, *argv):
        return subprocess.run(self.command(argv), capture_output=True,
                              text=True, timeout=30, stdin=subprocess.DEVNULL)

    def done(self, *argv):
        """What a command says that has to succeed."""
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def type(self, text, until):
        """Types at bash's prompt; what stands on the screen when the pattern
        does."""
        shell, end = pty.openpty()
        process = subprocess.Popen(
            self.command(["bash", "--norc", "--noprofile", "-i"]), stdin=end,
            stdout=end, stderr=end, start_new_session=True)
        os.close(end)
        os.set_blocking(shell, False)
        screen = ""

        def seen(pattern):
            nonlocal screen
            try:
                screen += os.read(shell, 65536).decode()
            except BlockingIOError:
                pass
            return re.search(pattern, screen)
        try:
            for line, answer in (
                    ("PS1='read''y> '; bind 'set bell-style none'"
                     "; . /usr/share/bash-completion/bash_completion\n",
                     "ready> $"),
                    (text, until)):
                os.write(shell, line.encode())
                wait_until(lambda: seen(answer), 20,  # noqa: B023
                           f"/{answer}/ on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{screen}") from None
        finally:
            process.kill()
            process.wait()
            os.close(shell)
        return screen

    def pretend_systemd(self):
        """systemd seems to run: what dpkg's scripts tell it to do is noted."""
        (self.root / "run/systemd/system").mkdir(parents=True)
        stub = self.root / SYSTEMCTL
        stub.write_text("#!/bin/sh\necho \"$*\" >>/root/told\n")
        stub.chmod(0o755)

    def told(self):
        """What systemctl was told since the last time."""
        path = self.root / "root/told"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text.splitlines()

    def unit(self, key):
        """All that the installed unit says to a key."""
        return re.findall(rf"^{key}=(.*)$", (self.root / UNIT).read_text(),
                          re.MULTILINE)

    def traces(self):
        """Every path that names nlbd, but for the package's own file."""
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*nlbd*")
            if path != self.root / "root/nlbd.deb")

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self._directory.cleanup()


class InstalledDaemon(Daemon):
    """nlbd as the unit starts it: its command line, user, capabilities and
    directories. Its sandbox is test_unit's business."""

    def __init__(self, machine):
        super().__init__(machine.network)
        self.machine = machine
        self.program = machine.root / "usr/sbin/nlbd"
        self.config = machine.root / "etc/nlbd/nlbd.ini"
        (user,) = machine.unit("User")
        # With the comment for a kernel that wants more for a filter: this one
        # may be of that kind.
        rights = {*machine.unit("AmbientCapabilities"),
                  *machine.unit("#AmbientCapabilities")} - {"CAP_NET_RAW"}
        held = ",".join(["-all", *("+" + right.lower().removeprefix("cap_")
                                   for right in sorted(rights))])
        for key, parent in (("RuntimeDirectory", "run"),
                            ("LogsDirectory", "var/log")):
            (name,) = machine.unit(key)
            machine.done("install", "-d", "-o", user, "-g", user,
                         f"/{parent}/{name}")
        self._as_user = ["setpriv", "--reuid", user, "--regid", user,
                         "--init-groups", "--inh-caps", held,
                         "--ambient-caps", held, "--bounding-set", held]

    def argv(self, *extra):
        (line,) = self.machine.unit("ExecStart")
        return self.machine.command([*self._as_user, *line.split(), *extra])

    def ctl_raw(self, *args):
        return self.machine.run("nlbctl", *args)

    def launch(self):
        self.process = Process(self.argv(), name="nlbd").start()
        return self

    # -- where clients go

    address = (Daemon.address[0], 587)
