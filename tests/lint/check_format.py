"""The C sources are as clang-format with the tree's .clang-format writes
them."""

import common


def main():
    top = common.root()
    paths = common.files(top, ".c", ".h")
    findings = common.run(["clang-format", "--dry-run", "-Werror", *paths], top)
    unformatted = {line.split(":")[0] for line in findings if " error: " in line}
    common.finish(
        "format",
        len(paths),
        [f"clang-format -i {path}" for path in sorted(unformatted)] or findings,
    )


main()
