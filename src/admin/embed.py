"""Makes a C file of the dashboard's files: embed.py OUTPUT FILE..."""

import os
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def c_bytes(data):
    rows = (data[i : i + 16] for i in range(0, len(data), 16))
    return "\n".join("    " + " ".join(f"{b}," for b in row) for row in rows)


def main():
    output, *files = sys.argv[1:]
    parts = ['#include "admin/assets.h"\n']
    table = []
    for number, path in enumerate(files):
        name = os.path.basename(path)
        url = "/" if name == "index.html" else f"/{name}"
        kind = TYPES[os.path.splitext(name)[1]]
        with open(path, "rb") as file:
            data = file.read()
        parts.append(
            f"static const unsigned char file{number}[] = {{\n"
            f"{c_bytes(data)}\n}};\n"
        )
        table.append(
            f'    {{"{url}", "{kind}", file{number}, sizeof(file{number})}},'
        )
    parts.append("const struct asset assets[] = {")
    parts += table
    parts.append("};\nconst size_t assets_count =")
    parts.append("    sizeof(assets) / sizeof(assets[0]);\n")
    with open(output, "w", encoding="ascii") as file:
        file.write("\n".join(parts))


main()
