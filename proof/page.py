#!/usr/bin/env python3
"""Writes definitions.toml and readme.txt into verify.html, or compares them with --check.

The page must work without other files, so it contains both. Python 3.11 and its standard library suffice.
"""

import json
import pathlib
import re
import sys
import tomllib

HERE = pathlib.Path(__file__).parent
PAGE = HERE / "verify.html"


def main():
    page = PAGE.read_text()
    file = tomllib.loads((HERE / "definitions.toml").read_text())
    made = embed(page, "definitions", json_lines("[", map(as_json, file["pack"]), "]"))
    made = embed(made, "tags", json_lines("{", (as_json({tag: of})[1:-1] for tag, of in file["tags"].items()), "}"))
    made = embed(made, "readme", readme())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif made != page:
        sys.exit("verify.html differs from definitions.toml or readme.txt: run proof/page.py")


def as_json(value):
    # A "<" in the JSON could end the script element.
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def json_lines(begin, lines, end):
    return begin + "\n" + ",\n".join(lines) + "\n" + end


def readme():
    text = (HERE / "readme.txt").read_bytes().decode()
    # HTML has no escapes for the content of a script element, and changes a carriage return and U+0000.
    if re.search(r"</script|<!--|[\r\0]", text, re.IGNORECASE):
        sys.exit("readme.txt contains characters that HTML would change")
    return text


def embed(page, name, content):
    pattern = rf'(<script type="[a-z/]+" id="{name}">)(.*?)(</script>)'
    made, found = re.subn(pattern, lambda m: m[1] + content + m[3], page, flags=re.DOTALL)
    if found != 1:
        sys.exit(f"verify.html needs exactly one block {name}, and has {found}")
    return made


if __name__ == "__main__":
    main()
