"""unit_main.py UNIT UID [--writable=DIR] [--visible=DIR] -- COMMAND...

Runs a command as systemd would by the [Service] section of UNIT, as far as
that can be done without systemd: mounts, user, capabilities, system calls.
A key that is neither applied nor known to need no application is an error, so
that the unit cannot grow past this test.
"""
import argparse
import ctypes
import errno
import os
import re
import resource
import socket
import struct
import subprocess

import seccomp

# systemd's own part: what to run and when, and the directories.
NOT_A_SANDBOX = {
    "Type", "ExecStart", "ExecReload", "User", "Group", "KillMode", "Restart",
    "RestartSec", "RestartPreventExitStatus", "WatchdogSec", "TimeoutAbortSec",
    "TimeoutStopSec", "RuntimeDirectory", "RuntimeDirectoryPreserve",
    "LogsDirectory", "LogsDirectoryMode"}
# Within what is applied here: without capabilities there is no way to the
# clock, the host name, the kernel's log and modules; /sys is read-only, and
# /proc/sys is not there. RemoveIPC is done by the manager at the end.
IMPLIED = {
    "PrivateMounts", "ProtectHostname", "ProtectClock", "ProtectKernelTunables",
    "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups",
    "RemoveIPC", "SystemCallArchitectures", "SystemCallErrorNumber"}

CLONE_NEWNS, CLONE_NEW_ALL = 0x00020000, 0x7E020080
MS_NOSUID, MS_BIND, MS_REC, MS_PRIVATE = 2, 4096, 16384, 1 << 18
SYS_mount_setattr, SYS_capset = 442, 126
AT_RECURSIVE, MOUNT_ATTR_RDONLY = 0x8000, 1
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = {"CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12,
                "CAP_NET_RAW": 13}
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
SET_ID_BITS = (0o4000, 0o2000)
FAMILIES = 64

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if function(*args) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{os.strerror(code)}: {args}")


def prctl(*args):
    call(libc.prctl, *[ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:5]])


def mount(source, target, kind, flags, options=None):
    call(libc.mount, source.encode(), str(target).encode(),
         kind and kind.encode(), ctypes.c_ulong(flags),
         options and options.encode())


def service(path):
    """{key: values in order} of the [Service] section."""
    with open(path, encoding="utf-8") as file:
        text = file.read().partition("[Service]")[2].partition("\n[")[0]
    keys = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        keys.setdefault(key, []).append(value)
    return keys


# -- the file system

def cover(path, visible, options="mode=755"):
    """An empty file system at path, in which only `visible` shows."""
    inside = [p for p in visible if p.startswith(path + "/")]
    kept = [(p, os.open(p, os.O_PATH)) for p in inside]
    mount("tmpfs", path, "tmpfs", MS_NOSUID, options)
    for place, fd in kept:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            os.makedirs(place, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb"):
                pass
        mount(f"/proc/self/fd/{fd}", place, None, MS_BIND | MS_REC)
        os.close(fd)


def set_read_only(path, read_only, flags):
    set_, clear = ((MOUNT_ATTR_RDONLY, 0) if read_only
                   else (0, MOUNT_ATTR_RDONLY))
    attributes = struct.pack("4Q", set_, clear, 0, 0)
    call(libc.syscall, SYS_mount_setattr, -100, str(path).encode(), flags,
         attributes, len(attributes))


def private_mounts(keys, writable, visible):
    call(libc.unshare, CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if keys.pop("PrivateTmp") == ["yes"]:
        cover("/tmp", visible, "mode=1777")
    if keys.pop("ProtectHome") == ["yes"]:
        for path in ("/home", "/root", "/run/user"):
            if os.path.isdir(path):
                cover(path, visible)
    if keys.pop("PrivateDevices") == ["yes"]:
        cover("/dev", [f"/dev/{name}" for name in
                       ("null", "zero", "full", "random", "urandom")])
    for path in writable:
        mount(path, path, None, MS_BIND)
    if keys.pop("ProtectSystem") == ["strict"]:
        set_read_only("/", True, AT_RECURSIVE)
        for path in [*writable, "/tmp"]:
            set_read_only(path, False, 0)
    (subset,), (hidden,) = keys.pop("ProcSubset"), keys.pop("ProtectProc")
    mount("proc", "/proc", "proc", MS_NOSUID,
          f"subset={subset},hidepid={hidden}")


# -- who it is

def mask(values):
    return sum(1 << CAPABILITIES[name] for line in values
               for name in line.split())


def become(keys, uid):
    bounding = mask(keys.pop("CapabilityBoundingSet"))
    ambient = mask(keys.pop("AmbientCapabilities"))
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    yield  # /proc/sys is about to go
    for capability in range(last + 1):
        if bounding >> capability & 1 == 0:
            prctl(PR_CAPBSET_DROP, capability)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    call(libc.syscall, SYS_capset, struct.pack("Ii", CAPABILITY_VERSION_3, 0),
         struct.pack("6I", ambient, ambient, ambient, 0, 0, 0))
    for capability in range(32):
        if ambient >> capability & 1:
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
    if keys.pop("NoNewPrivileges") == ["yes"]:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    yield


# -- system calls

def syscall_sets():
    """{"@name": members}, as systemd has them."""
    text = subprocess.run(["systemd-analyze", "syscall-filter"], check=True,
                          capture_output=True, text=True).stdout
    sets, name = {}, None
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            sets[name] = []
        elif name and line.startswith("    ") and "#" not in line:
            sets[name].append(line.strip())
    return sets


def members(words, sets):
    for word in words:
        if word.startswith("@"):
            yield from members(sets[word], sets)
        else:
            yield word


def allowed_calls(lines, sets):
    """systemd.exec(5): the first line makes it a list of what is allowed."""
    allowed = set(members(["@default"], sets))
    for line in lines:
        found = set(members(line.removeprefix("~").split(), sets))
        allowed = allowed - found if line[0] == "~" else allowed | found
    return allowed


def refuse_some(keys):
    """The restrictions on single calls and their arguments."""
    some = seccomp.SyscallFilter(seccomp.ALLOW)
    refuse = seccomp.ERRNO(errno.EPERM)
    masked = seccomp.MASKED_EQ
    allowed = {int(getattr(socket, name)) for name in
               " ".join(keys.pop("RestrictAddressFamilies")).split()}
    for family in set(range(FAMILIES)) - allowed:
        some.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket",
                      seccomp.Arg(0, seccomp.EQ, family))
    if keys.pop("RestrictNamespaces") == ["yes"]:
        some.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
        for name in ("unshare", "setns"):
            some.add_rule(refuse, name)
        for bit in (1 << n for n in range(32) if CLONE_NEW_ALL >> n & 1):
            some.add_rule(refuse, "clone", seccomp.Arg(0, masked, bit, bit))
    if keys.pop("MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        some.add_rule(refuse, "mmap", seccomp.Arg(2, masked, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            some.add_rule(refuse, name,
                          seccomp.Arg(2, masked, PROT_EXEC, PROT_EXEC))
        some.add_rule(refuse, "shmat",
                      seccomp.Arg(2, masked, SHM_EXEC, SHM_EXEC))
    if keys.pop("RestrictSUIDSGID") == ["yes"]:
        for name, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2)):
            for bit in SET_ID_BITS:
                some.add_rule(refuse, name,
                              seccomp.Arg(place, masked, bit, bit))
    if keys.pop("LockPersonality") == ["yes"]:
        some.add_rule(refuse, "personality", seccomp.Arg(0, seccomp.NE, 0))
    if keys.pop("RestrictRealtime") == ["yes"]:
        some.add_rule(refuse, "sched_setscheduler",
                      seccomp.Arg(1, seccomp.NE, 0))
    return some


def refuse_all_but(lines, sets):
    most = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in sorted(allowed_calls(lines, sets)):
        try:
            most.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, OSError):
            pass  # of another architecture, or newer than libseccomp
    return most


def main():
    parser = argparse.ArgumentParser()
    os.umask(0o022)  # for what the mounts need
    parser.add_argument("unit")
    parser.add_argument("uid", type=int)
    parser.add_argument("--writable", action="append", default=[])
    parser.add_argument("--visible", action="append", default=[])
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    keys = service(args.unit)
    sets = syscall_sets()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(int(keys.pop("LimitNOFILE")[0]), most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    identity = become(keys, args.uid)
    next(identity)
    private_mounts(keys, args.writable, args.visible)
    next(identity)
    os.umask(int(keys.pop("UMask")[0], 8))
    filters = [refuse_some(keys),
               refuse_all_but(keys.pop("SystemCallFilter"), sets)]
    unknown = set(keys) - NOT_A_SANDBOX - IMPLIED
    assert not unknown, f"neither applied nor known: {unknown}"
    os.chdir("/")
    for each in filters:
        each.load()
    os.execv(args.command[0], args.command)


main()
