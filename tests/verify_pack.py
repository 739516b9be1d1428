#!/usr/bin/env python3
"""Verifies evidence packs by proof/FORMAT.md alone, independently of `audit-sidecar verify`.

python3 tests/verify_pack.py FILE... [--key VKEY]

The script prints one line per file. It does not check cosignatures of witnesses. Exit status 0: all packs are valid.
Exit status 1: a pack is invalid or proves nothing. Exit status 2: a file is not a pack or cannot be read.
"""

import argparse
import base64
import datetime
import functools
import hashlib
import hmac
import json
import re
import struct
import sys
import zlib
from bisect import bisect_left

MOST = 2**63 - 1


class Invalid(Exception):
    pass


class NotAPack(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Invalid(what)
    return holds


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def number(text):
    return need(int(text) <= MOST, "an integer is above 2^63 - 1") and int(text)


def b64(text, least, most):
    """Returns the bytes of a B64 text without quotes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    need(least <= len(data) <= most and base64.b64encode(data) == text, "a value is not B64 of its length")
    return data


# Lines. The patterns match the raw bytes, including quotes. Bytes that they do not match are not in the format.

S = rb'"(?:[^"\\\x00-\x1f]++|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))*+"'
N = rb"(?:0|[1-9][0-9]{0,18})"
T = rb"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"
B32 = rb'"([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)"'
FIELDS = {
    b"actor": rb"null|" + S,
    b"targets": rb"\[(?:" + S + rb"(?:," + S + rb")*+)?+\]",
    b"source": rb"\{"
    + b",".join(
        b'"%s":(?:null|%s)' % (key, S)
        for key in b"ip user_agent session_id request_id database_user application_name client_addr".split()
    )
    + rb"\}",
    b"details": rb"(?=\{)",
}
HEAD = re.compile(
    rb'\{"v":1,"id":([1-9]\d{0,18}),"workspace":(%s),"occurred_at":"(%s)","recorded_at":"(%s)",'
    rb'"category":(%s),"action":(%s),"outcome":(%s)' % (S, T, T, S, S, S)
)
SHOWN = {f: re.compile(b',"%s":(%s)' % (f, value)) for f, value in FIELDS.items()}
WITHHELD = {f: re.compile(b',"%s_digest":"([0-9a-f]{64})"' % f) for f in FIELDS}
SALT = re.compile(rb',"salt":"([A-Za-z0-9+/]{21}[AQgw]==)"')
BODY = re.compile(b',"body":' + B32)
LEAF = re.compile(rb',"leaf":(null|%s)\}' % N)
REMOVED = re.compile(rb'\{"leaf":(%s),"hash":%s\}' % (N, B32))
TOKEN = re.compile(rb" *+([{}\[\]:,]|%s|-?+(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?+\d++)?+|true|false|null)" % S)


@functools.lru_cache(1 << 16)
def time(text):
    """Checks a time and returns its text, which sorts like the time."""
    try:
        day = re.fullmatch(T, text) and datetime.date.fromisoformat(text[:10].decode())
    except ValueError:
        day = None
    return need(day, "a time does not exist") and text


def details_end(line, at):
    """Returns the end of the details object. An explicit stack allows any depth."""
    closers, want = [], b"{"
    while token := TOKEN.match(line, at):
        at, kind = token.end(), token[1][:1]
        kind = kind if kind in b'{}[]:,"' else b"v"
        if kind not in want:
            break
        if kind in b"{[":
            closers.append(b"}" if kind == b"{" else b"]")
            want = b'k"}' if kind == b"{" else b'{["v]'
        elif kind in b":,":
            want = b'k"' if kind == b"," and closers[-1] == b"}" else b'{["v'
        elif want[:1] == b"k" and kind == b'"':
            want = b":"
        else:
            if kind in b"}]":
                closers.pop()
                if not closers:
                    return at
            want = b"," + closers[-1]
    raise Invalid("details that are not an object")


class Line:
    def __init__(self, line):
        try:
            line.decode()
        except UnicodeDecodeError:
            raise Invalid("a line is not UTF-8") from None
        head = need(HEAD.match(line), "the head of a line is malformed")
        _, self.workspace, occurred_at, recorded_at, self.category, self.action, self.outcome = head.groups()
        self.id, self.occurred_at, self.recorded_at = number(head[1]), time(occurred_at), time(recorded_at)
        self.raw = {}
        self.stub = BODY.match(line, head.end())
        body, at = (b64(self.stub[1], 32, 32), self.stub.end()) if self.stub else self.fields(line, head.end())
        end = need(LEAF.match(line, at), "the end of a line is malformed")
        need(end.end() == len(line), "a line has trailing bytes")
        self.leaf = None if end[1] == b"null" else number(end[1])
        self.hash = sha256(b"\0", head[0], body)

    def fields(self, line, at):
        digests = {}
        for f in FIELDS:
            if found := WITHHELD[f].match(line, at):
                digests[f], at = bytes.fromhex(found[1].decode()), found.end()
            else:
                found = need(SHOWN[f].match(line, at), "a field is missing or malformed")
                at = details_end(line, found.end()) if f == b"details" else found.end()
                self.raw[f] = line[found.start(1) : at]
        if digests:
            salts = b",".join(b'"%s":%s' % (f, B32) for f in self.raw)
            found = need(re.compile(rb',"salts":\{%s\}' % salts).match(line, at), "salts are missing or malformed")
            salts = [b64(salt, 32, 32) for salt in found.groups()]
        else:
            found = need(SALT.match(line, at), "a salt is missing or malformed")
            salts = [hmac.digest(b64(found[1], 16, 16), f, "sha256") for f in FIELDS]
        digests |= {f: sha256(salt, raw) for salt, (f, raw) in zip(salts, self.raw.items())}
        return sha256(*(digests[f] for f in FIELDS)), found.end()


# Trees


def node(left, right):
    return sha256(b"\1", left, right)


def subset_root(size, leaves, hashes):
    """Returns the root that follows from `leaves`, hashes by leaf index, and their subset proof."""
    at, rest = sorted(leaves), iter(hashes)

    def walk(a, b, low, high):  # at[low:high] are the leaves of S from a up to, but not including, b
        if low == high:
            return need(next(rest, None), "the subset proof is too short")
        if b == a + 1:
            return leaves[a]
        k = 1 << (b - a - 1).bit_length() - 1
        middle = bisect_left(at, a + k, low, high)
        return node(walk(a, a + k, low, middle), walk(a + k, b, middle, high))

    root = walk(0, size, 0, len(at)) if size else sha256()
    need(next(rest, None) is None, "the subset proof is too long")
    return root


def inclusion_root(size, leaf, root, path):
    """Returns the root that follows from an inclusion proof (RFC 9162, section 2.1.3.2)."""
    fn, sn = leaf, size - 1
    for sibling in path:
        need(sn > 0, "an inclusion proof is too long")
        if fn & 1 or fn == sn:
            root = node(sibling, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and leaf < size, "an inclusion proof is too short")
    return root


# Ed25519: RFC 8032, sections 5.1.3, 5.1.4 and 5.1.7

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor, point):
    result = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def point(text):
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(y < P and x * x % P == square and (x or not sign), "a point is not on the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


@functools.lru_cache(1 << 10)
def signed(public, message, signature):
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = times(s, base), add(point(signature[:32]), times(k, point(public)))
    return s < ORDER and all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def checkpoint(note, vkey):
    """Returns size and root of a checkpoint, after checking the signature of the key."""
    vkey = need(re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(.*)", vkey), "the key is malformed")
    name, hash, public = vkey[1].encode(), vkey[2], b64(vkey[3].encode(), 33, 33)
    need(public[0] == 1 and hash == sha256(name, b"\n", public)[:4].hex(), "the key is not the key of a log")
    try:
        characters = note.decode()
    except UnicodeDecodeError:
        raise Invalid("the checkpoint is not UTF-8") from None
    need(not re.search(r"[\x00-\x09\x0b-\x1f]", characters), "the checkpoint has control characters")
    need(len(note) <= 1_000_000 and note.count("\n— ".encode()) <= 100, "the checkpoint is too long")
    text = rb"([^\n]+)\n(%s)\n%s\n(?:[^\n]+\n)*" % (N, B32[1:-1])
    parts = re.fullmatch(rb"(%s)\n((?:\xe2\x80\x94 [^\n]+\n)+)" % text, note)
    text, origin, size, root, lines = need(parts, "the checkpoint is malformed").groups()
    need(origin == name, "the checkpoint belongs to another log than the key")
    signatures = {}
    for line in lines.decode().split("\n")[:-1]:
        signature = need(re.fullmatch(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)", line), "a signature is malformed")
        data = b64(signature[2].encode(), 5, MOST)
        signatures.setdefault((signature[1].encode(), data[:4].hex()), data[4:])  # the first signature of a key counts
    signature = need(signatures.get((name, hash)), "the checkpoint is not signed by the key")
    need(len(signature) == 64 and signed(public[1:], text, signature), "the signature of the checkpoint is not valid")
    return number(size), b64(root, 32, 32)


# Packs


def parse(data):
    """Parses a JSON object. Refuses input that parsers treat differently: repeated keys, NaN, lone surrogates."""

    def once(pairs):
        return need(len(dict(pairs)) == len(pairs), "an object repeats a key") and dict(pairs)

    def never(_):
        raise ValueError

    def integer(text):  # a longer one stays text, because Python refuses thousands of digits
        return int(text) if text.isdigit() and len(text) < 20 else text

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=once, parse_int=integer, parse_float=str, parse_constant=never
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Invalid("a file is not JSON") from None
    return need(type(value) is dict and value, "a file is not an object")


def get(value, key, *types):
    need(type(value) is dict and type(value.get(key, ...)) in types, f"{key} is missing or has another type")
    need(type(value[key]) is not int or 0 <= value[key] <= MOST, f"{key} is out of range")
    return value[key]


def keys(value, wanted):
    need(value.keys() == set(wanted.split()), f"the keys are not {wanted}")


def hash_of(text, length=32):
    need(type(text) is str, "a value is not a string")
    return b64(text.encode(), length, length)


def quoted(text):
    return json.dumps(text, ensure_ascii=False).encode()


class Manifest:
    def __init__(self, text):
        manifest = parse(text)
        need(get(manifest, "pack_version", int) == 1, "the pack has another version")
        self.workspace, self.name = get(manifest, "workspace", str), get(get(manifest, "definition", dict), "name", str)
        period = get(manifest, "period", dict)
        self.since, self.until = (time(get(period, end, str).encode()) for end in ("since", "until"))
        self.filters, self.key = get(manifest, "filters", dict), get(manifest, "key", str, type(None))
        self.events = get(get(manifest, "counts", dict), "events", int)
        self.rules = [self.rule(rule) for rule in get(manifest["definition"], "include", list)]
        self.files = [
            (get(file, "name", str), get(file, "bytes", int), get(file, "sha256", str))
            for file in get(manifest, "files", list)
        ]

    @staticmethod
    def rule(rule):
        need(type(rule) is dict and rule.keys() <= {"actions", "categories", "outcomes"}, "a rule is malformed")
        lists = [get(rule, key, list) if key in rule else [] for key in ("actions", "categories", "outcomes")]
        need(all(type(value) is str for values in lists for value in values), "a rule is malformed")
        return [{quoted(value) for value in values} for values in lists]

    def names(self, line):
        of_line = (line.action, line.category, line.outcome)
        matches = (all(not any_of or v in any_of for any_of, v in zip(rule, of_line)) for rule in self.rules)
        return not self.rules or any(matches)

    def in_period(self, line):
        return self.since <= line.occurred_at < self.until


# The zip. zipfile is not used: it takes what other programs read otherwise.

ZIP64 = 0xFFFFFFFF
PART = re.compile(rb"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9._-]*[a-z0-9_-]", re.I)


def fields(form, data):
    """The little-endian fields at the beginning of data, and the rest."""
    length = struct.calcsize("<" + form)
    need(len(data) >= length, "a record is cut short")
    return (*struct.unpack_from("<" + form, data), data[length:])


def at(file, start, length):
    file.seek(start)
    return file.read(length)


class Entry:
    """A header of an entry, whose fields from the version to the sizes are given."""

    def __init__(self, version, flags, method, time, crc, packed, size):
        self.version, self.flags, self.method, self.time = version, flags, method, time
        self.crc, self.packed, self.size, self.offset = crc, packed, size, 0
        need(flags in (0, 8), "an entry has flags that are not allowed")
        need(method in (0, 8), "an entry is neither stored nor deflated")
        need(method == 8 or flags == 0, "a stored entry has a data descriptor")

    def rest(self, name, extra, streamed=False):
        parts = name.split(b"/")
        need(len(name) <= 200 and all(map(PART.fullmatch, parts)), "the name of an entry is malformed")
        self.name, large = name.decode(), []
        if ZIP64 in (self.packed, self.size) and not streamed:
            need(self.packed == self.size, "a Zip64 field has one size only")
            large = ["size", "packed"]
        is_large, is_far = bool(large), self.offset == ZIP64
        large += ["offset"] * is_far
        if large:
            *head, extra = fields("HH", extra)
            need(head == [1, 8 * len(large)], "an extra field is not the Zip64 field that is needed")
            for value in large:
                number, extra = fields("Q", extra)
                setattr(self, value, number)
            needed = (not is_large or self.big()) and (not is_far or self.offset >= ZIP64)
            need(needed, "a Zip64 field stands where none is needed")
        need(not extra, "an entry has an extra field that is not allowed")
        need(self.version in ((45,) if large else (10, 20)), "an entry needs another version than its form")
        return self

    def big(self):
        return max(self.packed, self.size) >= ZIP64

    def locate(self, file, end):
        """Compares the local header and what follows the content; where the next entry begins."""
        start = self.offset + 30
        need(start <= end, "an entry runs into the directory")
        signature, *values, name, extra, _ = fields("4s3HI3I2H", at(file, self.offset, 30))
        need(signature == b"PK\3\4", "a local header is missing")
        local = Entry(*values)
        self.start = start + name + extra
        need(self.start <= end, "an entry runs into the directory")
        rest = at(file, start, name + extra)
        local.rest(rest[:name], rest[name:], self.flags == 8)
        for what in ("name", "version", "flags", "method", "time"):
            same = getattr(local, what) == getattr(self, what)
            same = same or (what == "version" and self.version == 45 != local.version)
            need(same, f"local and central header of {self.name} differ in {what}")
        after = self.start + self.packed
        need(after <= end, "an entry runs into the directory")
        if self.flags == 0:
            need(local.crc == self.crc, f"local and central header of {self.name} differ in CRC")
            same = (local.packed, local.size) == (self.packed, self.size)
            need(same, f"local and central header of {self.name} differ in sizes")
            return after
        need(local.crc == local.packed == local.size == 0, "an entry has sizes before and in a descriptor")
        form = "4sIQQ" if self.big() else "4sIII"
        length = struct.calcsize("<" + form)
        need(after + length <= end, "an entry runs into the directory")
        signature, *values, _ = fields(form, at(file, after, length))
        need(signature == b"PK\7\x08", "a data descriptor is missing")
        need(values == [self.crc, self.packed, self.size], "a data descriptor differs from the directory")
        return after + length

    def read(self, file):
        """The content. A pack is held in memory."""
        data = at(file, self.start, self.packed)
        if self.method == 8:
            inflate = zlib.decompressobj(-15)
            try:
                data = inflate.decompress(data, self.size + 1)
            except zlib.error:
                raise Invalid(f"{self.name} cannot be unpacked: its deflate stream is malformed") from None
            if len(data) <= self.size:
                need(inflate.eof, f"{self.name} cannot be unpacked: its deflate stream does not end")
                need(not inflate.unused_data, f"{self.name} cannot be unpacked: bytes follow its deflate stream")
        need(len(data) == self.size, f"{self.name} cannot be unpacked: its size is not the one in the zip")
        need(zlib.crc32(data) == self.crc, f"{self.name} cannot be unpacked: its CRC is not the one in the zip")
        return data


def end_of(file):
    """Number of entries, and where the directory begins and ends."""
    size = file.seek(0, 2)
    tail = at(file, max(size - 22 - 0xFFFF, 0), 22 + 0xFFFF)
    if len(tail) < 22 or not tail[-22:].startswith(b"PK\5\6"):
        need(b"PK\5\6" not in tail, "the file does not end with the end record")
        raise NotAPack("not a zip file: it has no end record")
    disks, here, entries, length, start, comment, _ = fields("IHHIIH", tail[-18:])
    need(disks == 0, "the end record names another disk")
    need(here == entries, "the end record counts the entries in two ways")
    need(1 <= entries <= 64, "there are no entries, or more than 64")
    need(comment == 0, "the end record has a comment")
    need(length <= 64 * (46 + 200 + 28), "the directory is longer than its entries can be")
    after = size - 22
    if start == ZIP64:
        after -= 76
        need(after >= 0, "a Zip64 record is missing")
        signature, rest, made, version, disks, *counts, wide, start, locator = fields("4sQHHQQQQQ", at(file, after, 76))
        need(signature == b"PK\6\6", "a Zip64 record is missing")
        need(rest == 44, "the Zip64 record is of another length")
        need(made >> 8 == 3, "a record is not made by Unix")
        need(version == 45, "the Zip64 record needs another version than 4.5")
        need(disks == 0, "the Zip64 record names another disk")
        need(counts == [entries, entries], "the Zip64 record counts other entries than the end record")
        need(wide == length, "the Zip64 record has another size of the directory")
        need(ZIP64 <= start <= after, "a Zip64 field stands where none is needed")
        need(locator[:4] == b"PK\6\7", "the locator of the Zip64 record is missing")
        need(struct.unpack("<IQI", locator[4:]) == (0, after, 1), "the locator does not lead to the Zip64 record")
    need(start + length == after, "the directory does not end where the end record begins")
    return entries, start, after


def entries_of(file):
    """The entries of a zip that every program reads alike."""
    count, end, after = end_of(file)
    directory, position, entries = at(file, end, after - end), 0, {}
    for _ in range(count):
        missing = "a header of the directory is missing"
        need(len(directory) >= 46 and directory.startswith(b"PK\1\2"), missing)
        made, *values, directory = fields("H3HI3I2H3H2I", directory[4:])
        need(made >> 8 == 3, "a record is not made by Unix")
        entry = Entry(*values[:7])
        name, extra, comment, disk, internal, external, entry.offset = values[7:]
        need(comment == 0, "an entry has a comment")
        need(disk == 0, "an entry is on another disk")
        need(internal == 0, "an entry has internal attributes")
        need(external == 0o100644 << 16, "an entry is not a regular file with mode 0644")
        need(len(directory) >= name + extra, "a record is cut short")
        entry.rest(directory[:name], directory[name : name + extra])
        directory = directory[name + extra :]
        need(entry.offset == position, "an entry does not begin where the one before it ends")
        position = entry.locate(file, end)
        need(entry.name not in entries, "a name occurs twice")
        entries[entry.name] = entry
    need(not directory, "the directory has bytes that belong to no entry")
    need(position == end, "the directory does not begin where the last entry ends")
    folded = {name.lower() for name in entries}
    need(len(folded) == len(entries), "two names differ only in case")
    folders = {name[: slash.start()] for name in folded for slash in re.finditer("/", name)}
    need(not folders & folded, "a name is that of a file and of a folder")
    return entries


def files_of(file):
    """The manifest, and what it lists."""
    entries, files = entries_of(file), {}
    if "manifest.json" not in entries:
        raise NotAPack("it has no manifest.json")
    if entries["manifest.json"].size > 16 << 20:
        raise NotAPack("its manifest.json is too large")
    text = entries["manifest.json"].read(file)
    try:
        manifest = Manifest(text)
    except Invalid as why:
        raise NotAPack(*why.args) from None
    for name, size, digest in manifest.files:
        need(name in entries and name not in files and name != "manifest.json", f"{name} is missing or listed twice")
        need(entries[name].size == size, f"{name} was changed")
        files[name] = entries[name].read(file)
        need(hashlib.sha256(files[name]).hexdigest() == digest, f"{name} was changed")
    need(len(files) + 1 == len(entries), "a file is not listed")
    return manifest, files


def array(files, name):
    data = need(files.get(name), f"{name} is missing")
    need(data.startswith(b"[\n") and data.endswith(b"\n]\n") and len(data) > 3, f"{name} is not an array file")
    if data == b"[\n]\n":
        return []
    *lines, last = data[2:-3].split(b"\n")
    need(all(line.endswith(b",") for line in lines), f"{name} is not an array file")
    return [line[:-1] for line in lines] + [last]


def recorded(head, workspace, log_id, size, root):
    """Returns the heads event of a head, after checking that the checkpoint of that size and root includes it."""
    keys(head, "size root heads_event path")
    hash_of(head["root"])
    text = f"audit-head/v1\n{log_id}\n{workspace.decode()}\n{get(head, 'size', int)}\n{head['root']}\n"
    digest = base64.b64encode(sha256(text.encode())).decode()
    event = Line(get(head, "heads_event", str).encode())
    need(event.workspace == event.category == b'"audit"' and event.action == b'"heads_recorded"', "a heads event is of another kind")
    need(event.raw.get(b"actor") == b'"system:sealer"' and b"details" in event.raw, "a heads event is not the sealer's")
    need(digest in get(parse(event.raw[b"details"]), "heads", list), "the heads event does not hold the head")
    need(event.leaf is not None, "the heads event has no leaf")
    path = [hash_of(text) for text in get(head, "path", list)]
    need(inclusion_root(size, event.leaf, event.hash, path) == root, "a heads event is not in the signed log")
    return event


def verify(file, key):
    manifest, files = files_of(file)
    workspace = quoted(manifest.workspace)
    events = [Line(line) for line in array(files, "events.json")]
    need(manifest.events == len(events), "events.json has another number of events")
    for event in events:
        need(event.workspace == workspace and not event.stub, "events.json has a stub or an event of another workspace")
        need(manifest.in_period(event) and manifest.names(event), "events.json has an event that is not selected")
    need(any(name.startswith("proof/") for name in files), f"{len(events)} events without a proof")

    log = parse(need(files.get("proof/log.json"), "proof/log.json is missing"))
    keys(log, "v workspace log_id claim head from first hashes")
    need(get(log, "v", int) == 1, "proof/log.json has another version")
    need(get(log, "workspace", str) == manifest.workspace, "proof/log.json belongs to another workspace")
    hash_of(log["log_id"], 16)
    note = need(files.get("proof/checkpoint.txt"), "proof/checkpoint.txt is missing")
    system = checkpoint(note, need(key or manifest.key, "no key is given for the checkpoint"))

    head, base = get(log, "head", dict, type(None)), get(log, "from", dict, type(None))
    need(head or (head is None and workspace == b'"audit"'), "the head is missing")
    (size, root), head_event = system, None
    if head is not None:
        head_event = recorded(head, workspace, log["log_id"], *system)
        size, root = head["size"], hash_of(head["root"])

    stubs = [Line(line) for line in array(files, "proof/stubs.json")]
    need(all(s.stub and s.workspace == workspace for s in stubs), "stubs.json has a full or foreign event")
    removed = [REMOVED.fullmatch(line) for line in array(files, "proof/removed.json")]
    need(all(removed), "a line of removed.json is malformed")
    proven = [(e.leaf, e.hash) for e in events if e.leaf is not None and e.leaf < size]
    others = [(s.leaf, s.hash) for s in stubs] + [(number(r[1]), b64(r[2], 32, 32)) for r in removed]
    need(all(leaf is not None and leaf < size for leaf, _ in others), "a stub or a removed leaf is not in the tree")
    leaves = dict(proven + others)
    need(len(leaves) == len(proven) + len(others), "a leaf is repeated")
    hashes = [hash_of(text) for text in get(log, "hashes", list)]
    need(subset_root(size, leaves, hashes) == root, "the root of the leaves is not the root of the head")

    claim, first = get(log, "claim", str), get(log, "first", int)
    if claim == "complete":
        need(not manifest.filters, "a pack with filters is not complete")
        need(first == (get(base, "size", int) if base else 0), "the range does not begin at the size of from")
        need(all(leaf >= first for leaf in leaves), "a leaf lies before the range")
        need(len(leaves) == size - first, "a leaf is missing")
        if base is not None:
            frontier = [root] if first == size else hashes or [sha256()]
            at_first = functools.reduce(lambda right, left: node(left, right), reversed(frontier))
            event = recorded(base, workspace, log["log_id"], *system)
            need(at_first == hash_of(base["root"]), "the log has another root at the beginning of the range")
            need(event.occurred_at < manifest.since, "the range begins within the period")
        left_out = [s.id for s in stubs if manifest.in_period(s) and manifest.names(s)]
        need(not left_out, f"events of the pack are shown as stubs only: {left_out}")
    else:
        need(claim == "inclusion" and base is None and first == 0, "the claim is unknown")

    recorded_at = [x.recorded_at for x in events + stubs if x.leaf in leaves]
    seen = head_event.occurred_at if head_event else max(recorded_at, default=b"")
    return (
        f"{manifest.workspace} {manifest.name}: {len(events)} events, {claim}: {len(proven)} shown, "
        f"{len(stubs)} stubs, {len(removed)} removed; {len(events) - len(proven)} not proven"
        + (f"; complete only until {seen.decode()}" if claim == "complete" and seen < manifest.until else "")
        + ("" if key else f"; checked with the key in the pack, {manifest.key}")
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", nargs="+")
    arguments.add_argument("--key", metavar="VKEY")
    arguments, status = arguments.parse_args(), 0
    for name in arguments.file:
        try:
            with open(name, "rb") as file:
                try:
                    code, said = 0, f"valid: {verify(file, arguments.key)}"
                except Invalid as why:
                    code, said = 1, f"invalid: {why}"
        except (OSError, NotAPack) as why:
            code, said = 2, f"unreadable: {why}"
        print(f"{name}: {''.join(c if c.isprintable() else '?' for c in said)}", flush=True)
        status = max(status, code)
    return status


if __name__ == "__main__":
    sys.exit(main())
