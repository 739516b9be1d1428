"""The packs of the vectors, and what a verifier finds in them."""

import invalid_packs
import valid_packs
from pack import KEY, STRANGER, WITNESS_KEY

FOUND = (
    "result",
    "kind",
    "events",
    "withheld",
    "stubs",
    "removed",
    "unexplained",
    "possibly_in_period",
    "complete_until",
    "partial_because",
)


def packs():
    """Returns packs.json, and the zips by name."""
    described, zips = [], {}
    for name, about, data, found in all_packs():
        file = name + ".zip"
        assert file not in zips, file
        zips[file] = data
        described.append({"name": name, "file": file, "about": sentence(about), **dict.fromkeys(FOUND), **found})
    return {"key": KEY, "stranger": STRANGER, "witness": WITNESS_KEY, "packs": described}, zips


def all_packs():
    yield from valid_packs.packs()
    for name, about, data, kind in invalid_packs.packs():
        yield name, about, data, {"result": "INVALID", "kind": kind}
    for name, about, data in invalid_packs.unchecked():
        yield name, about, data, {}


def sentence(about):
    first = about.split(" ")[0]
    return (about[0].upper() + about[1:] if first.isalpha() else about) + "."
