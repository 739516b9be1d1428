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
from reader import Invalid, verify
from signed import checkpoints, heads
from tree import vectors as tree
from writer import FIELDS, body_of, field_digests, field_salts, leaf_hash_of, s
from writer import full_line, head_of, stub_line, withheld_line


def main():
    here, stale = pathlib.Path(__file__).parent, []
    for name, content in vectors().items():
        text = "[\n" + ",\n".join(json.dumps(v) for v in content) + "\n]\n"
        if "--check" not in sys.argv[1:]:
            (here / name).write_text(text)
        elif (here / name).read_text() != text:
            stale.append(name)
    if stale:
        sys.exit("these files differ from the generated ones: " + ", ".join(stale))


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
