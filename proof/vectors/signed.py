"""The heads and checkpoints of the vectors."""

import base64
import hashlib

from ed25519 import public, sign
from tree import leaves, mth
from writer import s

LOG, WITNESS = 1, 4


def b64(data):
    return base64.b64encode(data).decode()


def heads():
    out = []
    for workspace, size in [("acme", 0), ("acme", 1), ("", 300), ('a"b\\c\n\x1f/\x7fé\u2028\U0001f600', 7), ("audit", 2**63 - 1)]:
        log_id = hashlib.sha256(workspace.encode()).digest()[:16]
        root = mth(leaves(min(size, 300)))
        text = "audit-head/v1\n%s\n%s\n%d\n%s\n" % (b64(log_id), s(workspace), size, b64(root))
        out.append({"log_id": log_id.hex(), "workspace": workspace, "size": size, "root": root.hex(), "text": text,
                    "digest": hashlib.sha256(text.encode()).hexdigest()})
    return out


def key_hash(name, kind, seed):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public(seed)).digest()[:4]


def vkey(name, kind, seed):
    return "%s+%s+%s" % (name, key_hash(name, kind, seed).hex(), b64(bytes([kind]) + public(seed)))


def line(name, kind, seed, signature):
    return "\u2014 %s %s\n" % (name, b64(key_hash(name, kind, seed) + signature))


def checkpoints():
    log, witness, at = ("audit.example.com", bytes([1]) * 32), ("witness.example.org", bytes([2]) * 32), 1_790_000_000
    out = []
    for size, extension in [(0, ""), (300, ""), (300, "an extension line\n")]:
        root = mth(leaves(size))
        text = "%s\n%d\n%s\n%s" % (log[0], size, b64(root), extension)
        cosigned = "cosignature/v1\ntime %d\n%s" % (at, text)
        note = text + "\n" + line(log[0], LOG, log[1], sign(log[1], text.encode()))
        note += line(witness[0], WITNESS, witness[1], at.to_bytes(8, "big") + sign(witness[1], cosigned.encode()))
        out.append({"note": note, "origin": log[0], "size": size, "root": root.hex(),
                    "key": vkey(log[0], LOG, log[1]), "witness": vkey(witness[0], WITNESS, witness[1]), "time": at,
                    "stranger": vkey(log[0], LOG, bytes([3]) * 32)})
    return out
