"""The C sources are as clang-format with the tree's .clang-format writes
them."""

import common


def main():
    top = common.root()
    paths = common.files(top, ".c", ".h")
    findings = common.run(["clang-format", "--dry-run", "-Werror", *paths], top)
    common.finish(
        "format",
        len(paths),
        [line for line in findings if "error:" in line] or findings,
    )


main()
