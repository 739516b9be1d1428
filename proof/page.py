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
    made = embed(embed(page, "definitions", definitions()), "readme", readme())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif made != page:
        sys.exit("verify.html differs from definitions.toml or readme.txt: run proof/page.py")


def definitions():
    packs = tomllib.loads((HERE / "definitions.toml").read_text())["pack"]
    # A "<" in the JSON could end the script element.
    lines = [json.dumps(pack, separators=(",", ":")).replace("<", "\\u003c") for pack in packs]
    return "[\n" + ",\n".join(lines) + "\n]"


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
