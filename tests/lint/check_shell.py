"""The shell scripts are clean under shellcheck."""

import os

import common


def main():
    top = common.root()
    paths = [".ci/run"]
    for folder in ("scripts", "bench", "config/debian"):
        for name in sorted(os.listdir(os.path.join(top, folder))):
            path = os.path.join(folder, name)
            if not os.path.isfile(os.path.join(top, path)):
                continue
            with open(os.path.join(top, path), "rb") as file:
                first = file.readline()
            if first.startswith(b"#!") and first.strip().endswith(b"sh"):
                paths.append(path)
    findings = common.run(["shellcheck", *paths], top)
    common.finish("shell", len(paths), findings)


main()
