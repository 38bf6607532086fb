"""The Debian package says what the tree says: its version, its licence, what
it is built with; and its changelog is one."""

import re

import common

FOLDER = "config/debian"
# Every build of a package has these.
ESSENTIAL = {"gcc", "libc6-dev"}
# What comes with another package of the list.
IMPLIED = {"ninja-build": "meson", "libmd-dev": "libbsd-dev"}


def text(top, path):
    return "\n".join(common.lines(top, path))


def version(top):
    ours = re.search(r"version: '([^']+)'", text(top, "meson.build"))[1]
    path = f"{FOLDER}/changelog"
    done = common.call(["dpkg-parsechangelog", "-l", path, "-S", "Version"],
                       top)
    if done.stderr or done.stdout.strip() != ours:
        return [f"{path}: version {done.stdout.strip()}, meson.build has "
                f"{ours} {done.stderr}"]
    return []


def licence(top):
    words = text(top, "LICENSE").partition("developers")[2].split()
    said = re.sub(r"(?m)^ \.$", "", text(top, f"{FOLDER}/copyright")).split()
    if not words or " ".join(words) not in " ".join(said):
        return [f"{FOLDER}/copyright: not the text of LICENSE"]
    return []


def build_depends(top):
    setup = re.search(r'^build="([^"]+)"', text(top, "scripts/setup"),
                      re.MULTILINE)[1].split()
    field = re.search(r"Build-Depends:((?:.+\n? *)+?)\n\w",
                      text(top, f"{FOLDER}/control"))[1]
    named = set(re.findall(r"[a-z0-9][a-z0-9.+-]+(?=[:, \n]|$)", field))
    return [f"{FOLDER}/control: Build-Depends lacks {name}" for name in setup
            if name not in named | ESSENTIAL and IMPLIED.get(name) not in named]


def main():
    top = common.root()
    common.finish("package", 3, version(top) + licence(top)
                  + build_depends(top))


main()
