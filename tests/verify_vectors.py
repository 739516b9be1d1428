#!/usr/bin/env python3
"""Checks verify_pack.py with proof/vectors. Prints how many vectors agree, and fails at the first that does not."""

import json
import pathlib

import verify_pack
from verify_pack import Invalid, Line

FOLDER = pathlib.Path(__file__).parent.parent / "proof" / "vectors"


def vectors(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def accepts(check, *of):
    try:
        return check(*of)
    except Invalid:
        return None


def line(vector):
    text = bytes.fromhex(vector["line_hex"]) if "line_hex" in vector else vector["line"].encode()
    return accepts(Line, text)


def hashes(vector):
    return [bytes.fromhex(text) for text in vector["hashes"]]


def leaf(index):
    return verify_pack.sha256(b"\0", index.to_bytes(8, "big"))


def tree(vector):
    """Returns whether a proof is valid, or None for a kind that no pack holds."""
    root, size = bytes.fromhex(vector["root"]), vector["size"]
    if vector["kind"] == "inclusion":
        return accepts(verify_pack.inclusion_root, size, vector["leaf"], leaf(vector["leaf"]), hashes(vector)) == root
    if vector["kind"] == "subset":
        leaves = {index: leaf(index) for index in vector["leaves"]}
        # A caller of subset_root has checked these conditions before.
        fit = len(leaves) == len(vector["leaves"]) and all(index < size for index in leaves)
        return fit and accepts(verify_pack.subset_root, size, leaves, hashes(vector)) == root
    return None


def main():
    seen = 0
    for vector in vectors("events") + vectors("withheld"):
        assert line(vector).hash.hex() == vector["leaf_hash"], vector["description"]
        seen += 1
    for vector in vectors("invalid"):
        assert line(vector) is None, vector["description"]
        seen += 1
    for vector in vectors("tree"):
        held = tree(vector)
        assert held in (None, vector.get("valid")), vector
        seen += held is not None
    for vector in vectors("checkpoint"):
        note = vector["note"].encode()
        held = accepts(verify_pack.checkpoint, note, vector["key"])
        assert held == (vector["size"], bytes.fromhex(vector["root"])), note
        for other in (vector["stranger"], vector["witness"]):
            assert accepts(verify_pack.checkpoint, note, other) is None, other
        seen += 1
    print(f"{seen} vectors agree")


if __name__ == "__main__":
    main()
