#!/usr/bin/env python3
"""Writes the test vectors of FORMAT.md, or compares them with --check.

This module and those beside it were written from FORMAT.md alone, independently of the Rust code. A difference reveals
a mistake in one of the two. The modules need nothing but the standard library.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

from events import HARD, event, events
from invalid import invalid
from packs import packs
from reader import Invalid, verify
from signed import checkpoints, heads
from tree import vectors as tree
from writer import FIELDS, body_of, field_digests, field_salts, leaf_hash_of, s
from writer import full_line, head_of, stub_line, withheld_line


HERE = pathlib.Path(__file__).parent


def main():
    made = files()
    (HERE / "packs").mkdir(exist_ok=True)
    there = {path.relative_to(HERE).as_posix(): path for path in [*HERE.glob("*.json"), *HERE.glob("packs/*")]}
    stale = [name for name in made if name not in there or there[name].read_bytes() != made[name]]
    stale += there.keys() - made.keys()
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit("these files differ from the generated ones: " + ", ".join(sorted(stale)))
        return
    for name in stale:
        (HERE / name).write_bytes(made[name]) if name in made else there[name].unlink()


def files():
    """Returns the content of all files by name."""
    described, zips = packs()
    made = {name: array(content) + "\n" for name, content in vectors().items()}
    keys = "".join("%s: %s,\n" % (json.dumps(key), json.dumps(described[key])) for key in ("key", "stranger", "witness"))
    made["packs.json"] = "{\n" + keys + '"packs": ' + array(described["packs"]) + "\n}\n"
    return {name: text.encode() for name, text in made.items()} | {"packs/" + name: data for name, data in zips.items()}


def array(values):
    return "[\n" + ",\n".join(json.dumps(exact(value)) for value in values) + "\n]"


def exact(value):
    """Returns a value in which integers that a binary floating-point number may not hold are strings."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def vectors():
    made = [with_hashes(e) for e in events()]
    for e in made:
        assert verify(e["line"].encode()).hex() == e["leaf_hash"], e["description"]

    forms = []
    for e, description, names, line in withheld():
        hashes = with_hashes(e)
        assert verify(line.encode()).hex() == hashes["leaf_hash"], description
        forms.append({"description": description, "withheld": names, "from": hashes["line"], "line": line,
                      "body": hashes["body"], "leaf_hash": hashes["leaf_hash"]})

    bad = []
    for description, line in invalid():
        data = line if isinstance(line, bytes) else line.encode()
        try:
            verify(data)
        except Invalid:
            pass
        else:
            raise AssertionError("accepted: " + description)
        bad.append({"description": description, "line_hex": data.hex()} if isinstance(line, bytes)
                   else {"description": description, "line": line})
    return {"events.json": made, "withheld.json": forms, "invalid.json": bad, "tree.json": tree(), "heads.json": heads(),
            "checkpoint.json": checkpoints()}


def with_hashes(e):
    digests = field_digests(e)
    body = body_of(digests)
    return e | {
        "line": full_line(e),
        "field_salts": {f: salt.hex() for f, salt in field_salts(e).items()},
        "field_digests": {f: d.hex() for f, d in digests.items()},
        "body": body.hex(),
        "leaf_hash": leaf_hash_of(head_of(e), body).hex(),
    }


def withheld():
    sealed = event("", leaf=7, details='{"note": %s}' % s(HARD))
    cases = [[f] for f in FIELDS] + [["actor", "details"], ["targets", "source"], FIELDS[:3], FIELDS[1:], FIELDS]
    for e in (event(""), sealed):
        for names in cases:
            yield e, "withheld: " + ", ".join(names), names, withheld_line(e, names)
        yield e, "stub", None, stub_line(e)


if __name__ == "__main__":
    main()
