"""The manual pages are clean under mandoc."""

import common


def main():
    top = common.root()
    paths = common.files(top, ".1", ".5", ".8")
    findings = []
    if paths:
        findings = common.run(["mandoc", "-Tlint", "-W", "style", *paths], top)
        # Dates of pages are ours; mandoc compares them with the system's.
        findings = [line for line in findings if "referenced manual" not in line]
    common.finish("manuals", len(paths), findings)


main()
