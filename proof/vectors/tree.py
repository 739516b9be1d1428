"""Merkle trees: a literal implementation of the definitions of FORMAT.md."""

import hashlib


def leaves(size):
    """Returns the leaves of the vectors. The entry of a leaf is its index, as 8 bytes in big-endian order."""
    return [sha256(b"\0" + index.to_bytes(8, "big")) for index in range(size)]


def sha256(data):
    return hashlib.sha256(data).digest()


def split(size):
    return 1 << (size - 1).bit_length() - 1


def mth(d):
    if not d:
        return sha256(b"")
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return sha256(b"\1" + mth(d[:k]) + mth(d[k:]))


def inclusion(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return inclusion(m, d[:k]) + [mth(d[k:])] if m < k else inclusion(m - k, d[k:]) + [mth(d[:k])]


def consistency(m, d, whole=True):
    if m == 0:
        return []
    if m == len(d):
        return [] if whole else [mth(d)]
    k = split(len(d))
    if m <= k:
        return consistency(m, d[:k], whole) + [mth(d[k:])]
    return consistency(m - k, d[k:], False) + [mth(d[:k])]


def subset(s, d, start=0):
    """Returns the subset proof of the leaf indices `s`. `d` holds the leaves from `start` on."""
    if not d:
        return []
    if not any(start <= index < start + len(d) for index in s):
        return [mth(d)]
    if len(d) == 1:
        return []
    k = split(len(d))
    return subset(s, d[:k], start) + subset(s, d[k:], start + k)


def root_from_subset(s, size, hashes):
    """Returns the root of the leaf hashes `s`, by index, or None if the proof does not fit."""
    rest, used = list(hashes), set()

    def walk(start, n):
        if not any(start <= index < start + n for index in s):
            return rest.pop(0)
        if n == 1:
            used.add(start)
            return s[start]
        k = split(n)
        left = walk(start, k)
        return sha256(b"\1" + left + walk(start + k, n - k))

    try:
        root = walk(0, size) if size else mth([])
    except IndexError:
        return None
    return root if not rest and used == set(s) else None


def vectors():
    out = []
    for size in [*range(18), 31, 255, 256, 257, 300]:
        d = leaves(size)
        out.append({"kind": "root", "size": size, "root": mth(d).hex()})
    for size, picks in [(1, [0]), (2, [0, 1]), (3, range(3)), (7, range(7)), (8, [0, 7]), (300, [0, 255, 256, 299])]:
        d = leaves(size)
        for leaf in picks:
            path = inclusion(leaf, d)
            out.append(proof("inclusion", True, size=size, leaf=leaf, root=mth(d).hex(), hashes=path))
            out += [proof("inclusion", False, size=size, leaf=leaf, root=mth(d).hex(), hashes=bad) for bad in damaged(path)]
            out.append(proof("inclusion", False, size=size, leaf=leaf + 1, root=mth(d).hex(), hashes=path))
    for old, new in [(0, 5), (1, 1), (1, 2), (3, 7), (4, 7), (6, 8), (7, 7), (255, 300), (256, 300), (299, 300)]:
        d = leaves(new)
        path, roots = consistency(old, d), {"old_root": mth(d[:old]).hex(), "root": mth(d).hex()}
        out.append(proof("consistency", True, old=old, size=new, **roots, hashes=path))
        out += [proof("consistency", False, old=old, size=new, **roots, hashes=bad) for bad in damaged(path)]
        other = {"old_root": mth(leaves(old + 1)).hex(), "root": mth(d).hex()}
        out.append(proof("consistency", False, old=old, size=new, **other, hashes=path))
    for size, s in [(0, []), (1, []), (1, [0]), (5, []), (5, [4]), (7, [0, 3, 6]), (8, range(8)), (13, range(5, 13)),
                    (300, range(100, 300)), (300, [0, 17, 18, 255, 256, 299]), (300, range(120, 180))]:
        d, s = leaves(size), list(s)
        hashes = subset(s, d)
        assert root_from_subset({index: d[index] for index in s}, size, hashes) == mth(d)
        out.append(proof("subset", True, size=size, leaves=s, root=mth(d).hex(), hashes=hashes))
        for bad in damaged(hashes):
            assert root_from_subset({index: d[index] for index in s}, size, bad) != mth(d)
            out.append(proof("subset", False, size=size, leaves=s, root=mth(d).hex(), hashes=bad))
        for bad in ([s[1:]] if s else []) + [s + [size]]:
            out.append(proof("subset", False, size=size, leaves=bad, root=mth(d).hex(), hashes=hashes))
    return out


def proof(kind, valid, hashes, **more):
    return {"kind": kind, "valid": valid, **more, "hashes": [h.hex() for h in hashes]}


def damaged(hashes):
    flipped = lambda h: bytes([h[0] ^ 1]) + h[1:]
    yield hashes + [bytes(32)]
    if hashes:
        yield hashes[:-1]
        yield [flipped(hashes[0])] + hashes[1:]
        yield hashes[:-1] + [flipped(hashes[-1])]
    if len(hashes) > 1:
        yield hashes[::-1]
