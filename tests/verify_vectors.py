#!/usr/bin/env python3
"""Checks verify_pack.py with proof/vectors. Prints how many vectors agree, and fails at the first that does not."""

import io
import json
import pathlib
import tempfile

import verify_pack
from verify_pack import Checkpoint, Key, Line, NotAPack, Zip, accepts

FOLDER = pathlib.Path(__file__).parent.parent / "proof" / "vectors"


def vectors(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


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


def reported(path, *keys):
    try:
        return verify_pack.report(path, *keys)[0]
    except NotAPack:
        return {"result": None, "kinds": []} | verify_pack.NOTHING


def check_pack(vector, of_log):
    """Compares all that a vector states with what verify_pack.py finds."""
    said = reported(FOLDER / "packs" / vector["file"], [of_log["key"]])
    said |= {"kind": said["kinds"][0] if len(said["kinds"]) == 1 else said["kinds"] or None}
    differs = {key: said[key] for key in vector.keys() - {"name", "file", "about"} if said[key] != vector[key]}
    assert not differs, (vector["name"], differs)


def check_unpacked(vector, of_log):
    """Checks the same files in a folder, where only the form of the zip does not matter."""
    with tempfile.TemporaryDirectory() as folder:
        source = Zip(io.BytesIO((FOLDER / "packs" / vector["file"]).read_bytes()))
        for name in source.sizes:
            path = pathlib.Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(source.read(name))
        said = reported(folder, [of_log["key"]])
        assert (said["result"], said["kinds"]) == (
            vector["result"],
            [vector["kind"]] * (vector["kind"] is not None),
        ), vector
        (pathlib.Path(folder) / "proof").mkdir(exist_ok=True)
        (pathlib.Path(folder) / "proof" / "more").symlink_to("log.json")
        assert reported(folder)["result"] in (None, "INVALID"), vector


def check_keys(vector, of_log):
    """Checks a valid pack with other keys, which must not be taken for that of the log."""
    path = FOLDER / "packs" / vector["file"]
    witnessed = reported(path, [of_log["stranger"], of_log["key"]], [of_log["witness"]])
    assert witnessed["result"] == vector["result"] and not witnessed["key_from_pack"], vector
    for keys in (
        ([of_log["stranger"]],),
        ([of_log["key"]], [of_log["witness"], of_log["stranger"]]),
        ([of_log["witness"]],),
    ):
        assert reported(path, *keys)["kinds"] == ["checkpoint"], vector
    assert reported(path)["key_from_pack"], vector


def check_packs():
    packs = json.loads((FOLDER / "packs.json").read_text())
    of_log = {name: Key(packs[name]) for name in ("key", "stranger", "witness")}
    for vector in packs["packs"]:
        check_pack(vector, of_log)
        if vector["result"] and vector["kind"] != "zip":
            check_unpacked(vector, of_log)
        if vector["name"] in ("access-review", "filters", "system-log", "removed"):
            check_keys(vector, of_log)
    return len(packs["packs"])


def main():
    seen = check_packs()
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
        held, keys = Checkpoint(vector["note"].encode()), {
            name: Key(vector[name]) for name in ("key", "witness", "stranger")
        }
        assert (held.size, held.root.hex()) == (vector["size"], vector["root"]), vector
        held.need_signature(keys["witness"])
        assert held.signer([keys["stranger"], keys["key"]]) == keys["key"], vector
        for other in (keys["stranger"], keys["witness"]):
            assert accepts(held.signer, [other]) is None, other
        seen += 1
    print(f"{seen} vectors agree")


if __name__ == "__main__":
    main()
