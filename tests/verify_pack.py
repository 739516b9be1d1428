#!/usr/bin/env python3
"""Checks evidence packs by proof/FORMAT.md alone, independently of `audit-sidecar verify`.

python3 tests/verify_pack.py PACK... [--key VKEY]... [--witness VKEY]... [--json]

A pack is a zip, or a folder that holds its files. The script holds it in memory. It prints the result of each pack and
what the pack shows, or with --json an object on a line. If several exit statuses apply, the first of these counts:

2  a file cannot be checked
1  a pack is INVALID or UNPROVEN, or PARTIAL for another reason than its filters
3  the key of a checkpoint was taken from the pack
0  every other pack
"""

import argparse
import base64
import collections
import contextlib
import datetime
import functools
import hashlib
import hmac
import json
import os
import pathlib
import re
import struct
import sys
import tomllib
import types
import zlib
from bisect import bisect_left

MOST = 2**63 - 1
FORMAT = pathlib.Path(__file__).resolve().parent.parent / "proof"


class Invalid(Exception):
    """A rule is broken. The text says which, and holds no string of a pack."""


class NotAPack(Exception):
    """A file cannot be checked."""


def need(holds, what):
    if not holds:
        raise Invalid(what)
    return holds


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def number(digits):
    return need(int(digits) <= MOST, "an integer is above 2^63 - 1") and int(digits)


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
    + rb'(?:,"masked":[1-9]\d{0,8})?+'
    + rb'(?:,"adjusted":\[%s(?:,%s)*+\])?+' % (S, S)
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
SCALAR = rb"%s|-?+(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?+\d++)?+|true|false|null" % S
TOKEN = re.compile(rb" *+([{}\[\]:,]|%s)" % SCALAR)
MEMBER = rb"%s *+: *+(?:%s)" % (S, SCALAR)
FLAT = re.compile(rb"\{ *+(?:%s(?: *+, *+%s)*+)?+ *+\}" % (MEMBER, MEMBER))


@functools.lru_cache(1 << 16)
def time(digits):
    """Checks a time and returns it as a text, which sorts like the time."""
    try:
        day = re.fullmatch(T, digits) and datetime.date.fromisoformat(digits[:10].decode())
    except ValueError:
        day = None
    return need(day, "a time does not exist") and digits.decode()


@functools.lru_cache(1 << 16)
def unescaped(string):
    """Returns the characters of an S."""
    return json.loads(string.decode())


def details_end(line, at):
    """Returns the end of the details object. An explicit stack allows any depth."""
    if flat := FLAT.match(line, at):  # the usual form, at a fraction of the time
        return flat.end()
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


def members(details):
    """Returns the raw values of an object by their raw keys. Its bytes are details of a valid line."""
    found, at, levels, ends = {}, 0, [], (b",", b"}")
    key = last = start = None
    while at < len(details):
        token = TOKEN.match(details, at)
        at, mark = token.end(), token[1]
        if len(levels) == 1 and mark in ends and start:
            found[key], start = details[start : token.start()].strip(b" "), None
        if mark in (b"{", b"["):
            levels.append(set() if mark == b"{" else None)
        elif mark in (b"}", b"]"):
            levels.pop()
        elif mark == b":" and len(levels) == 1:
            key, start = last, at
        if mark == b":":
            need(last not in levels[-1], "details have a key twice")
            levels[-1].add(last)
        last = mark
    return found


class Line:
    """A line of one of the three forms."""

    def __init__(self, line):
        try:
            line.decode()
        except UnicodeDecodeError:
            raise Invalid("a line is not UTF-8") from None
        head = need(HEAD.match(line), "the head of a line is malformed")
        _, workspace, occurred_at, recorded_at, category, action, outcome = head.groups()
        self.id, self.occurred_at, self.recorded_at = number(head[1]), time(occurred_at), time(recorded_at)
        self.workspace, self.kind = unescaped(workspace), tuple(map(unescaped, (action, category, outcome)))
        self.raw, self.withheld, self.actor = {}, [], None  # raw texts and names of fields, and the actor if shown
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
                self.withheld.append(f.decode())
            else:
                found = need(SHOWN[f].match(line, at), "a field is missing or malformed")
                at = details_end(line, found.end()) if f == b"details" else found.end()
                self.raw[f] = line[found.start(1) : at]
        if self.raw.get(b"actor", b"null") != b"null":
            self.actor = unescaped(self.raw[b"actor"])
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


# Checkpoints

LOG, WITNESS = 1, 4
BEFORE = "\u2014 "  # what a line of a signature begins with


class Key:
    def __init__(self, vkey):
        parts = need(re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", vkey), "a key is malformed")
        data = b64(parts[3].encode(), 33, 33)
        self.vkey, self.name, self.kind, self.public = vkey, parts[1], data[0], data[1:]
        self.hash = sha256(self.name.encode(), b"\n", data)[:4]
        need(self.hash.hex() == parts[2], "a key has another key hash than it says")


class Checkpoint:
    def __init__(self, note):
        need(len(note) <= 1_000_000, "the checkpoint is too long")
        try:
            characters = note.decode()
        except UnicodeDecodeError:
            raise Invalid("the checkpoint is not UTF-8") from None
        need(not re.search(r"[\x00-\x09\x0b-\x1f]", characters), "the checkpoint has control characters")
        head = rb"([^\n]+)\n(%s)\n%s\n(?:[^\n]+\n)*+" % (N, B32[1:-1])
        parts = need(re.fullmatch(rb"(%s)\n((?:[^\n]+\n)++)" % head, note), "the checkpoint is malformed")
        self.text, self.origin = parts[1], parts[2].decode()
        self.size, self.root = number(parts[3]), b64(parts[4], 32, 32)
        self.signatures, lines = {}, parts[5].decode().split("\n")[:-1]
        need(len(lines) <= 100, "the checkpoint has more than 100 signatures")
        for line in lines:
            signature = re.fullmatch(BEFORE + r"([^\s+]+) ([A-Za-z0-9+/=]+)", line)
            data = b64(need(signature, "a signature is malformed")[2].encode(), 5, MOST)
            self.signatures.setdefault((signature[1], data[:4]), data[4:])  # the first signature of a key counts

    def need_signature(self, key):
        signature = need(self.signatures.get((key.name, key.hash)), "the checkpoint is not signed by the key")
        if key.kind == LOG:
            need(key.name == self.origin, "the checkpoint belongs to another log than the key")
            message = self.text
        else:
            at, signature = signature[:8], signature[8:]
            message = b"cosignature/v1\ntime %d\n%s" % (int.from_bytes(at, "big"), self.text)
        valid = len(signature) == 64 and signed(key.public, message, signature)
        need(valid, "a signature of the checkpoint is not valid")

    def signer(self, keys):
        """Returns the first of the keys that has signed."""
        for key in keys:
            with contextlib.suppress(Invalid):
                need(key.kind == LOG, "the key is not the key of a log")
                self.need_signature(key)
                return key
        raise Invalid("the checkpoint has no valid signature of a key of the log")


# JSON


class NotN(str):
    """A number of a JSON text that is not N."""


def parse(data):
    """Parses JSON. Refuses what parsers treat differently: repeated keys, NaN, lone surrogates."""

    def once(pairs):
        return need(len(dict(pairs)) == len(pairs), "a key stands twice in an object") and dict(pairs)

    def never(_):
        raise ValueError

    def integer(digits):
        return int(digits) if digits.isdigit() and int(digits[:20]) <= MOST else NotN(digits)

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=once, parse_int=integer, parse_float=NotN, parse_constant=never
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Invalid("it is not JSON") from None
    return value


def has_form(value, form):
    """Tells whether a value has a form: a type, (alternatives), [form of elements], {key: form} or a test.

    The key of an optional member ends with a question mark. The key `str` stands for all keys.
    """
    if type(form) is tuple:
        return any(has_form(value, one) for one in form)
    if type(form) is list:
        return type(value) is list and all(has_form(element, form[0]) for element in value)
    if type(form) is type or form is None:
        return type(value) is (form or type(None))
    if type(form) is not dict:
        return form(value)
    if type(value) is not dict:
        return False
    if str in form:
        return all(has_form(element, form[str]) for element in value.values())
    optional = {key.rstrip("?"): key for key in form}
    needed = {key for key, full in optional.items() if key == full}
    return needed <= value.keys() <= optional.keys() and all(has_form(value[key], form[optional[key]]) for key in value)


def need_form(value, form, what):
    """Like has_form, but names the member of the outermost object that has another form."""
    need(type(value) is dict, f"{what} is not an object")
    need(not form.keys() - value.keys(), f"{what} lacks {' and '.join(sorted(form.keys() - value.keys()))}")
    need(not value.keys() - form.keys(), f"{what} has a key that FORMAT.md does not know")
    for key in form:
        need(has_form(value[key], form[key]), f"{key} in {what} is not as described")


def is_b64(length):
    return lambda value: type(value) is str and bool(accepts(b64, value.encode(), length, length))


def accepts(check, *of):
    """Returns what a check returns, or None if it does not hold."""
    try:
        return check(*of)
    except Invalid:
        return None


def is_time(value):
    return type(value) is str and accepts(time, value.encode()) is not None


def matches(pattern):
    return lambda value: type(value) is str and re.fullmatch(pattern, value, re.ASCII) is not None


# Quoted text

NOT_PLAIN = (
    r"\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
ESCAPED = re.compile(r'["\\]|[^\x20-\x7e]')


def quoted(string):
    def escape(found):
        return "\\" + found[0] if found[0] in '"\\' else "\\u{%x}" % ord(found[0])

    return '"' + ESCAPED.sub(escape, string) + '"'


def shown(string, most=120):
    """The quoted form, shortened."""
    more = len(string) - most
    return f"{quoted(string[:most])} and {more:,} more characters" if more > 0 else quoted(string)


def is_text(value):
    spaced = type(value) is str and 1 <= len(value) <= 2000 and "" not in value.split(" ")
    return spaced and not re.search(f"[{NOT_PLAIN}]", value)


# The manifest

LISTS = {"actions": "action", "tags": "tag", "categories": "category", "outcomes": "outcome"}
OF_ACTOR = ("success", "failure", "denied")
RULE = {f"{key}?": [str] for key in LISTS}
POINT = (None, {"id": int, "occurred_at": is_time})
MANIFEST = {
    "pack_version": lambda value: type(value) is int and value == 1,
    "workspace": str,
    "period": {"since": is_time, "until": is_time},
    "definition": {
        "name": matches("[a-z0-9][a-z0-9-]{0,39}"),
        "version": lambda value: type(value) is int and value > 0,
        "title": is_text,
        "purpose": is_text,
        "controls": [{"framework": is_text, "ids": [is_text], "evidence": is_text}],
        "include": [RULE],
        "filters": bool,
        "summary": [RULE | {"column": matches("[a-z][a-z0-9_]{0,39}")}],
        "tags": {str: [str]},
    },
    "filters": {str: (str, [str])},
    "snapshot": {"taken_at": is_time, "retention": str, "kept_since": is_time},
    "exported_by": str,
    "export_event": int,
    "counts": {
        "events": int,
        "by_category": {str: int},
        "by_outcome": {str: int},
        "first": POINT,
        "last": POINT,
        "actors": int,
        "events_of_other_actors": int,
    },
    "unclassified": {"events": int, "actions": {str: int}},
    "key": (str, None),
    "proof": (None, matches("complete|inclusion")),
    "software": {"audit_sidecar": str, "audit_log": str, "postgresql": str},
    "files": [{"name": str, "bytes": int, "sha256": matches("[0-9a-f]{64}")}],
}


def manifest_of(data):
    need(len(data) <= 16 << 20, "manifest.json is too large")
    manifest = parse(data)
    version = manifest.get("pack_version") if type(manifest) is dict else None
    if type(version) in (int, NotN) and version != 1 and re.fullmatch(r"-?\d+", str(version)):
        raise NotAPack("it is a pack of another version than 1")
    need_form(manifest, MANIFEST, "manifest.json")
    period, definition = manifest["period"], with_arrays(manifest["definition"])
    need(period["since"] < period["until"], "the period ends before it begins")
    need(manifest["snapshot"]["taken_at"] >= period["until"], "the snapshot was taken before the end of the period")
    need(all(any(rule[key] for key in LISTS) for rule in definition["include"]), "a rule is empty")
    need(len(definition["include"]) <= 100, "there are more than 100 rules")
    rules = definition["include"] + definition["summary"]
    need(all(len(rule[key]) <= 1000 for rule in rules for key in LISTS), "a rule has more than 1,000 values")
    need(all(value != [] for value in manifest["filters"].values()), "a filter has no value")
    columns = [column["column"] for column in definition["summary"]]
    need({*definition["tags"]} == tags_of(rules), "the tags are not those of the rules and columns")
    for actions in definition["tags"].values():
        need(len(actions) <= 10_000, "a tag has more than 10,000 actions")
        need(actions == sorted({*actions}, key=str.encode), "the actions of a tag are not in their order")
    check_unclassified(**manifest["unclassified"])
    need(len(columns) <= 32, "there are more than 32 columns")
    need(len(columns) == len({*columns} - {*heading([])}), "a column stands twice")
    return manifest | {"definition": definition}


def tags_of(rules):
    return {tag for rule in rules for tag in rule["tags"]}


def check_unclassified(events, actions):
    need(len(actions) <= 100, "there are more than 100 actions without a tag")
    need(0 not in actions.values(), "an action without a tag has no event")
    least, listed = sum(actions.values()), len(actions)
    fits = least == events or least < events and listed == 100
    need(fits, "the numbers of events without a tag contradict each other")


def with_arrays(definition):
    """A definition with the arrays that are absent from its rules and columns."""
    absent = dict.fromkeys(LISTS, [])
    return definition | {key: [absent | rule for rule in definition[key]] for key in ("include", "summary")}


@functools.cache
def built_in():
    """The built-in definitions by name and version."""
    absent = {"version": 1, "controls": [], "include": [], "filters": False, "summary": []}
    with open(FORMAT / "definitions.toml", "rb") as file:
        packs = [with_arrays(absent | pack) for pack in tomllib.load(file)["pack"]]
    return {(pack["name"], pack["version"]): pack for pack in packs}


@functools.cache
def built_in_tags():
    """The tags, each with the built-in actions that have it."""
    with open(FORMAT / "definitions.toml", "rb") as file:
        return tomllib.load(file)["tags"]


def is_built_in(definition):
    return definition["name"] in {name for name, _ in built_in()}


def check_definition(manifest):
    definition = manifest["definition"]
    if is_built_in(definition):
        same = built_in().get((definition["name"], definition["version"]))
        rest = {key: value for key, value in definition.items() if key != "tags"}
        need(rest == same, "the definition has the name of a built-in one, and is another")
        tagged = {action for actions in built_in_tags().values() for action in actions}
        for tag, actions in definition["tags"].items():
            need(tagged & {*actions} == {*built_in_tags()[tag]}, "a tag has not its built-in actions")
    need(definition["filters"] or not manifest["filters"], "the definition allows no filters")


def named_by(rules, tags):
    """Returns a function that tells whether a rule matches the action, category and outcome of an event."""

    def values(rule, key):
        return {action for tag in {*rule[key]} for action in tags[tag]} if key == "tags" else {*rule[key]}

    places = {"actions": 0, "tags": 0, "categories": 1, "outcomes": 2}
    rules = [[(place, values(rule, key)) for key, place in places.items() if rule[key]] for rule in rules]
    return functools.cache(lambda kind: any(all(kind[place] in values for place, values in rule) for rule in rules))


# The tables


SPECIAL = re.compile('[",\r\n]')


def cell(value):
    return '"' + value.replace('"', '""') + '"' if SPECIAL.search(value) else value


def free(value):
    """A cell of free text."""
    return cell("'" + value if value and value[0] in "=+-@\uff1d\uff0b\uff0d\uff20\t\n\r" else value)


def table(rows):
    return ("\ufeff" + "".join(",".join(row) + "\r\n" for row in rows)).encode()


def events_csv(events):
    source = "ip user_agent session_id request_id database_user application_name client_addr".split()
    first = "id workspace occurred_at recorded_at category action outcome actor targets".split()
    yield [*first, *source, "details", "withheld"]
    for event in events:
        raw = {f.decode(): value.decode() for f, value in event.raw.items()}
        action, category, outcome = event.kind
        of_source = map((json.loads(raw["source"]) if "source" in raw else {}).get, source)
        values = [event.workspace, event.occurred_at, event.recorded_at, category, action, outcome, event.actor]
        values += [raw.get("targets"), *of_source, raw.get("details")]
        yield [str(event.id), *(free(value or "") for value in values), " ".join(event.withheld)]


def heading(columns):
    return ["kind", "actor", "events", *OF_ACTOR, *columns, "first_occurred_at", "last_occurred_at"]


def actors_of(events):
    """Groups events by kind and actor. The last value is the number of counted actors."""
    groups, left = {}, 24_000_000
    for event in events:
        group = ("actor", event.actor)
        if "actor" in event.withheld:
            group = ("withheld", "")
        elif event.actor is None:
            group = ("none", "")
        elif group not in groups:
            cost = 200 + len(event.actor.encode())
            group, left = (group, left - cost) if cost <= left else (("others", ""), left)
        groups.setdefault(group, []).append(event)
    order = ("actor", "none", "withheld", "others")
    return {group: groups[group] for group in sorted(groups, key=lambda g: (order.index(g[0]), g[1].encode()))}


def summary_csv(groups, definition):
    columns = [lambda kind, outcome=outcome: kind[2] == outcome for outcome in OF_ACTOR]
    columns += [named_by([column], definition["tags"]) for column in definition["summary"]]
    yield heading([column["column"] for column in definition["summary"]])
    for (kind, actor), events in groups.items():
        numbers = [len(events)] + [sum(column(event.kind) for event in events) for column in columns]
        times = [event.occurred_at for event in events]
        yield [kind, free(actor), *map(str, numbers), min(times), max(times)]


def counts_of(events, groups):
    def by(place):
        return collections.Counter(event.kind[place] for event in events)

    ends = [{"id": event.id, "occurred_at": event.occurred_at} for event in events[:1] + events[-1:]]
    return {
        "events": len(events),
        "by_category": by(1),
        "by_outcome": by(2),
        "first": ends[0] if ends else None,
        "last": ends[1] if ends else None,
        "actors": sum(kind == "actor" for kind, _ in groups),
        "events_of_other_actors": len(groups.get(("others", ""), [])),
    }


def check_tables(pack):
    groups = actors_of(pack.events)
    need(pack.files["events.csv"] == table(events_csv(pack.events)), "events.csv does not follow from events.json")
    summary = table(summary_csv(groups, pack.manifest["definition"]))
    need(pack.files["summary.csv"] == summary, "summary.csv does not follow from events.json")
    counts = counts_of(pack.events, groups)
    for key, value in counts.items():
        need(pack.manifest["counts"][key] == value, f"{key} in counts does not follow from events.json")


# README.txt


def wrapped(words, indent=""):
    lines = []
    for word in words.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= 78:
            lines[-1] += " " + word
        else:
            lines.append(indent + word)
    return "\n".join(lines)


def rules_in_words(rules, quote=quoted):
    for count, rule in enumerate(rules, 1):
        yield f"Rule {count}"
        for key, name in LISTS.items():
            if rule[key]:
                yield f"    {name} is one of"
                yield from (f"        {quote(value)}" for value in rule[key])


def tags_in_words(tags, quote=quoted):
    for tag, actions in sorted(tags.items(), key=lambda item: item[0].encode()):
        yield f"Tag {quote(tag)}"
        yield from (f"        {quote(action)}" for action in actions)


def unclassified_in_words(actions, quote=quoted):
    for action, count in sorted(actions.items(), key=lambda item: item[0].encode()):
        yield f"    {quote(action)}: {count}"


def filters_in_words(filters, quote=quoted):
    for key, value in sorted(filters.items(), key=lambda item: item[0].encode()):
        yield f"    {quote(key)} = " + ", ".join(map(quote, [value] if type(value) is str else value))


def control_in_words(control):
    ids = " " + ", ".join(control["ids"]) if control["ids"] else ""
    return "| " + control["framework"] + ids + "\n" + wrapped(control["evidence"], "|     ")


def readme(manifest):
    definition, snapshot = manifest["definition"], manifest["snapshot"]
    proof, since = manifest["proof"], manifest["period"]["since"]
    holds = {
        "complete": proof == "complete",
        "inclusion": proof == "inclusion",
        "unproven": proof is None,
        "proven": proof is not None,
        "all": not definition["include"],
        "rules": definition["include"],
        "filtered": manifest["filters"],
        "expired": since < snapshot["kept_since"],
        "controls": definition["controls"],
        "no_controls": not definition["controls"],
        "tagged": definition["tags"],
        "classified": manifest["unclassified"]["events"] == 0,
        "unclassified": manifest["unclassified"]["events"] > 0,
        "key": proof is not None and manifest["key"] is not None,
    }
    of_maker = {"workspace": manifest["workspace"], "exported_by": manifest["exported_by"]}
    of_maker |= manifest["software"] | {"retention": snapshot["retention"], "key": manifest["key"] or ""}
    values = manifest["period"] | snapshot | {key: quoted(value) for key, value in of_maker.items()}
    values |= {
        "pack": definition["name"],
        "version": str(definition["version"]),
        "export_event": str(manifest["export_event"]),
        "title": wrapped(definition["title"], "| "),
        "purpose": wrapped(definition["purpose"], "| "),
        "rules": "\n".join(rules_in_words(definition["include"])),
        "tags": "\n".join(tags_in_words(definition["tags"])),
        "filters": "\n".join(filters_in_words(manifest["filters"])),
        "unclassified_events": str(manifest["unclassified"]["events"]),
        "unclassified": "\n".join(unclassified_in_words(manifest["unclassified"]["actions"])),
        "controls": "\n\n".join(map(control_in_words, definition["controls"])),
    }
    template = (FORMAT / "readme.txt").read_bytes().decode()
    block = re.compile(r"^\[if (\w+)\]\n(.*?)^\[end\]\n", re.M | re.S)
    kept = block.sub(lambda found: found[2] if holds[found[1]] else "", template)
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], kept).encode()


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
            need(same, f"local and central header of an entry differ in {what}")
        after = self.start + self.packed
        need(after <= end, "an entry runs into the directory")
        if self.flags == 0:
            need(local.crc == self.crc, "local and central header of an entry differ in CRC")
            same = (local.packed, local.size) == (self.packed, self.size)
            need(same, "local and central header of an entry differ in sizes")
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
                raise Invalid("a deflate stream is malformed") from None
            if len(data) <= self.size:
                need(inflate.eof, "a deflate stream does not end")
                need(not inflate.unused_data, "bytes follow a deflate stream")
        need(len(data) == self.size, "the size of a content is not the one in the zip")
        need(zlib.crc32(data) == self.crc, "the CRC of a content is not the one in the zip")
        return data


def end_of(file):
    """Number of entries, and where the directory begins and ends."""
    size = file.seek(0, 2)
    tail = at(file, max(size - 22 - 0xFFFF, 0), 22 + 0xFFFF)
    if len(tail) < 22 or not tail[-22:].startswith(b"PK\5\6"):
        need(b"PK\5\6" not in tail, "the file does not end with the end record")
        raise NotAPack("it is no zip: it has no end record")
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


# Files


class Folder:
    """An unpacked pack. Links are not followed."""

    def __init__(self, path):
        self.path, self.sizes, self.odd = path, {}, False
        self.scan("")

    def scan(self, below):
        for entry in os.scandir(os.path.join(self.path, below)):
            name = below + entry.name
            if entry.is_file(follow_symlinks=False) and len(self.sizes) < 64:
                self.sizes[name] = entry.stat(follow_symlinks=False).st_size
            elif entry.is_dir(follow_symlinks=False) and name == "proof":
                self.scan("proof/")
            else:
                self.odd = True

    def read(self, name):
        path = os.path.join(self.path, name)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(self.sizes[name])


class Zip:
    def __init__(self, file):
        self.file, self.entries, self.odd = file, entries_of(file), False
        self.sizes = {name: entry.size for name, entry in self.entries.items()}

    def read(self, name):
        return self.entries[name].read(self.file)


TABLES = {"README.txt", "events.json", "events.csv", "summary.csv"}
PROOF = {f"proof/{name}" for name in ("checkpoint.txt", "log.json", "stubs.json", "removed.json", "removals.json")}


def check_names(manifest, sizes):
    claim = manifest["proof"]
    wanted = TABLES | (PROOF if claim else set()) | ({"proof/prefixes.bin"} if claim == "complete" else set())
    listed = [file["name"] for file in manifest["files"]]
    for name in sorted(wanted):
        need(name in sizes, f"{name} is missing")
        need(name in listed, f"{name} is not listed in the manifest")
    need(sizes.keys() == wanted | {"manifest.json"}, "the pack holds a file that does not belong to it")
    need({*listed} == wanted, "the manifest lists a file that does not belong to a pack")
    need(len(listed) == len(wanted), "the manifest lists a file twice")
    for file in manifest["files"]:
        need(sizes[file["name"]] == file["bytes"], f"{file['name']} is of another size than the manifest says")


def check_hashes(manifest, files):
    for file in manifest["files"]:
        same = hashlib.sha256(files[file["name"]]).hexdigest() == file["sha256"]
        need(same, f"{file['name']} has another SHA-256 than the manifest says")


def elements(data, name):
    """The lines of an array file."""
    need(data.startswith(b"[\n") and data.endswith(b"\n]\n"), f"{name} is not an array file")
    if data == b"[\n]\n":
        return []
    *lines, last = data[2:-3].split(b"\n")
    need(all(line.endswith(b",") for line in lines), f"{name} is not an array file")
    return [line[:-1] for line in lines] + [last]


def lines_of(files, name, stubs):
    lines = [Line(line) for line in elements(files[name], name)]
    need(all(bool(line.stub) == stubs for line in lines), f"{name} has a line of another form")
    return lines


def removed_of(data):
    found = [REMOVED.fullmatch(line) for line in elements(data, "proof/removed.json")]
    need(all(found), "a line of proof/removed.json is malformed")
    return [types.SimpleNamespace(leaf=number(line[1]), hash=b64(line[2], 32, 32)) for line in found]


# The log

HASHES = [is_b64(32)]
HEAD_OF_LOG = {"size": int, "root": is_b64(32), "heads_event": str, "path": HASHES}
LOG_JSON = {
    "v": lambda value: type(value) is int and value == 1,
    "workspace": str,
    "log_id": is_b64(16),
    "claim": matches("complete|inclusion"),
    "head": (None, HEAD_OF_LOG),
    "from": (None, HEAD_OF_LOG),
    "first": int,
    "hashes": HASHES,
}


def log_of(pack):
    manifest, log = pack.manifest, parse(pack.files["proof/log.json"])
    need_form(log, LOG_JSON, "proof/log.json")
    need(log["workspace"] == manifest["workspace"], "proof/log.json is of another workspace")
    need(log["claim"] == manifest["proof"], "proof/log.json and the manifest claim different things")
    claim = "inclusion" if manifest["filters"] else "complete"
    need(log["claim"] == claim, "the claim does not fit the filters")
    is_system = log["workspace"] == "audit"
    need((log["head"] is None) == is_system, "the head is null, or it is not null in the system log")
    if claim == "inclusion":
        need(log["from"] is None, "an inclusion has a beginning")
        empty = not (pack.stubs or pack.removed or pack.removals)
        need(empty, "an inclusion has stubs, removed leaves or removals")
    need(log["first"] == (log["from"] or {"size": 0})["size"], "first is not the size of the beginning")
    return log


def signer_of(pack, checkpoint, keys, witnesses):
    """The key that has signed the checkpoint. Without a trusted key it is that of the manifest."""
    if not keys:
        keys = [Key(need(pack.manifest["key"], "there is no key for the checkpoint"))]
    for witness in witnesses:
        checkpoint.need_signature(witness)
    return checkpoint.signer(keys)


def recorded(head, log, checkpoint):
    """Returns the event that records a head, after checking that the checkpoint includes it."""
    workspace = json.dumps(log["workspace"], ensure_ascii=False)
    text = f"audit-head/v1\n{log['log_id']}\n{workspace}\n{head['size']}\n{head['root']}\n"
    digest = base64.b64encode(sha256(text.encode()))
    event = Line(head["heads_event"].encode())
    need(not event.stub and event.workspace == "audit", "a heads event is not a full line of the system log")
    need(event.kind[:2] == ("heads_recorded", "audit"), "a heads event is of another action or category")
    need(event.actor == "system:sealer" and b"details" in event.raw, "a heads event has another actor or no details")
    heads = members(event.raw[b"details"]).get(b'"heads"', b"")
    need(re.fullmatch(rb"\[ *(?:%s(?: *, *%s)*+)? *\]" % (S, S), heads), "a heads event has no array of heads")
    need(b'"%s"' % digest in re.findall(S, heads), "a heads event does not record the head")
    need(event.leaf is not None and event.leaf < checkpoint.size, "a heads event is not in the signed log")
    path = [base64.b64decode(hash) for hash in head["path"]]
    root = inclusion_root(checkpoint.size, event.leaf, event.hash, path)
    need(root == checkpoint.root, "a heads event is not in the signed log")
    return event


def check_heads(pack):
    """Sets the events of both heads, and until when the pack is complete."""
    period, log = pack.manifest["period"], pack.log
    pack.from_event = log["from"] and recorded(log["from"], log, pack.checkpoint)
    head_event = log["head"] and recorded(log["head"], log, pack.checkpoint)
    if pack.from_event:
        need(pack.from_event.occurred_at < period["since"], "the range begins within the period")
    if log["claim"] == "complete":
        times = [line.recorded_at for line in pack.events + pack.stubs + pack.removals]
        pack.until = head_event.occurred_at if head_event else max(times, default="")
        need(pack.until > period["since"], "the head is from before the period")


def check_leaves(pack):
    leaves = [line.leaf for line in pack.leaves]
    need(None not in leaves, "an event has no leaf")
    need(all(leaf < pack.size for leaf in leaves), "a leaf lies beyond the head")
    need(len({*leaves}) == len(leaves), "a leaf occurs twice")
    if pack.log["claim"] == "complete":
        need(all(leaf >= pack.log["first"] for leaf in leaves), "a leaf lies before the range")
        need(len(leaves) == pack.size - pack.log["first"], "a leaf of the range is missing")


def check_root(pack):
    hashes = [base64.b64decode(hash) for hash in pack.log["hashes"]]
    root = subset_root(pack.size, {line.leaf: line.hash for line in pack.leaves}, hashes)
    need(root == pack.root, "the lines are not in the log: their root is not that of the head")
    if pack.log["claim"] == "complete" and pack.log["from"]:
        frontier = [root] if pack.log["first"] == pack.size else hashes or [sha256()]
        root = functools.reduce(lambda right, left: node(left, right), reversed(frontier))
        same = root == base64.b64decode(pack.log["from"]["root"])
        need(same, "the log has another root at the beginning of the range")


def check_prefixes(pack):
    if pack.log["claim"] == "complete":
        hashes = [line.hash for line in sorted(pack.leaves, key=lambda line: line.leaf)]
        same = pack.files["proof/prefixes.bin"] == b"".join(hash[:4] for hash in hashes)
        need(same, "proof/prefixes.bin does not hold the beginnings of the hashes")


# Removals


def removal_of(event):
    """The kept_since and ranges of an event that records a removal, otherwise None."""
    if event.kind[:2] != ("events_removed", "audit") or b"details" not in event.raw:
        return None
    details = accepts(members, event.raw[b"details"]) or {}
    raw = [details.get(b'"%s"' % key, b"") for key in (b"retention", b"kept_since", b"last_time", b"events", b"leaves")]
    pair = rb"\[ *%s *, *%s *\]" % (N, N)
    forms = [S, b'"%s"' % T, b'"%s"' % T, N, rb"\[ *(?:%s(?: *, *%s)*+)? *\]" % (pair, pair)]
    if not all(map(re.fullmatch, forms, raw)) or not all(accepts(time, value[1:-1]) for value in raw[1:3]):
        return None
    kept_since, last_time, events = raw[1][1:-1].decode(), raw[2][1:-1].decode(), int(raw[3])
    ends = [int(digits) for digits in re.findall(rb"\d+", raw[4])]
    ranges = list(zip(ends[::2], ends[1::2]))
    ascend = all(start < end for start, end in ranges) and all(a <= b for a, b in zip(ends[1::2], ends[2::2]))
    age = datetime.datetime.fromisoformat(event.recorded_at) - datetime.datetime.fromisoformat(kept_since)
    fits = max(ends + [events]) <= MOST and sum(end - start for start, end in ranges) == events
    if ascend and fits and last_time < kept_since and age >= datetime.timedelta(days=59):
        return kept_since, ranges
    return None


def judge_removed(pack):
    """How many removed leaves are not explained, and how many may have been recorded in the period."""
    known = {line.leaf: line.recorded_at for line in pack.events + pack.stubs + pack.removals}
    if pack.from_event and pack.log["first"]:
        known[pack.log["first"] - 1] = pack.from_event.occurred_at
    places, removed = sorted(known), sorted(line.leaf for line in pack.removed)
    before, after = {}, {}
    for leaf in removed:
        place = bisect_left(places, leaf)
        before[leaf] = known[places[place - 1]] if place else ""
        after[leaf] = known[places[place]] if place < len(places) else None
    explained = set()
    for kept_since, ranges in filter(None, map(removal_of, pack.events + pack.removals)):
        for start, end in ranges:
            within = removed[bisect_left(removed, start) : bisect_left(removed, end)]
            explained.update(leaf for leaf in within if before[leaf] < kept_since)
    since, until = pack.manifest["period"]["since"], pack.manifest["period"]["until"]
    possible = [r for r in removed if before[r] < until and (after[r] is None or after[r] >= since)]
    return len(removed) - len(explained), len(possible)


# Checking a pack. The names of rules are those of "Checking a pack".


class Stop(Exception):
    """The rules that follow cannot be checked."""


class Faults(list):
    @contextlib.contextmanager
    def rule(self, kind, last=False):
        """Notes that a rule is broken, and with `last` stops there."""
        try:
            yield
        except Invalid as why:
            self.append((kind, str(why)))
            if last:
                raise Stop from None


def check_files(source, faults):
    """Returns the manifest and the contents of all files."""
    if "manifest.json" not in source.sizes:
        raise NotAPack("it has no manifest.json")
    with faults.rule("manifest", last=True):
        need(source.sizes["manifest.json"] <= 16 << 20, "manifest.json is too large")
    with faults.rule("zip", last=True):
        data = source.read("manifest.json")
    with faults.rule("manifest", last=True):
        manifest = manifest_of(data)
    with faults.rule("definition"):
        check_definition(manifest)
    with faults.rule("files", last=True):
        need(not source.odd, "the folder holds a link, or something else that does not belong to a pack")
        check_names(manifest, source.sizes)
    with faults.rule("zip", last=True):
        files = {name: source.read(name) for name in source.sizes}
    with faults.rule("files", last=True):
        check_hashes(manifest, files)
    return manifest, files


def check_lines(pack, faults):
    period, definition = pack.manifest["period"], pack.manifest["definition"]
    named = named_by(definition["include"] or [dict.fromkeys(LISTS, [])], definition["tags"])

    def selected(line):
        return period["since"] <= line.occurred_at < period["until"] and named(line.kind)

    pack.events, pack.stubs, pack.removed, pack.removals = [], [], [], []
    with faults.rule("line", last=True):
        pack.events = lines_of(pack.files, "events.json", stubs=False)
        if pack.manifest["proof"]:
            pack.stubs = lines_of(pack.files, "proof/stubs.json", stubs=True)
            pack.removals = lines_of(pack.files, "proof/removals.json", stubs=False)
            pack.removed = removed_of(pack.files["proof/removed.json"])
    with faults.rule("event"):
        lines = pack.events + pack.stubs + pack.removals
        of_workspace = all(line.workspace == pack.manifest["workspace"] for line in lines)
        need(of_workspace, "a line is of another workspace")
        need(all(map(selected, pack.events)), "events.json has an event that the pack does not select")
        order = [(event.occurred_at, event.id) for event in pack.events]
        need(all(a < b for a, b in zip(order, order[1:])), "events.json is not in its order")
    with faults.rule("tables"):
        check_tables(pack)
    with faults.rule("readme"):
        need(pack.files["README.txt"] == readme(pack.manifest), "README.txt does not follow from the manifest")
    pack.hidden = [line for line in pack.stubs + pack.removals if selected(line)]


def check_proof(pack, faults, keys, witnesses):
    with faults.rule("log", last=True):
        log = pack.log = log_of(pack)
    with faults.rule("checkpoint", last=True):
        pack.checkpoint = Checkpoint(pack.files["proof/checkpoint.txt"])
        pack.key = signer_of(pack, pack.checkpoint, keys, witnesses)
    pack.size, pack.root = pack.checkpoint.size, pack.checkpoint.root
    if log["head"]:
        pack.size, pack.root = log["head"]["size"], base64.b64decode(log["head"]["root"])
    with faults.rule("log", last=True):
        need(log["first"] <= pack.size, "the range begins after the head")
    with faults.rule("head"):
        check_heads(pack)
    pack.leaves = pack.events + pack.stubs + pack.removed + pack.removals
    with faults.rule("leaf", last=True):
        check_leaves(pack)
    with faults.rule("stub"):
        need(not pack.hidden, "an event that the pack selects is not in events.json")
    with faults.rule("root"):
        check_root(pack)
    with faults.rule("prefixes"):
        check_prefixes(pack)


def opened(stack, path, faults):
    if os.path.isdir(path):
        return Folder(path)
    file = stack.enter_context(open(path, "rb"))
    with faults.rule("zip", last=True):
        return Zip(file)


def check(path, keys=(), witnesses=()):
    """Returns the faults of a pack, and the pack as far as it was read."""
    faults, pack = Faults(), types.SimpleNamespace(manifest=None, log=None, key=None, until=None, from_event=None)
    with contextlib.suppress(Stop), contextlib.ExitStack() as stack:
        source = opened(stack, path, faults)
        pack.manifest, pack.files = check_files(source, faults)
        check_lines(pack, faults)
        if pack.manifest["proof"]:
            check_proof(pack, faults, keys, witnesses)
    return faults, pack


# Reports

NOTHING = dict.fromkeys(
    "workspace pack events withheld stubs removed unexplained possibly_in_period complete_until partial_because key "
    "key_from_pack".split()
)


def report(path, keys=(), witnesses=()):
    """Returns what --json prints, the faults, and the pack. An invalid pack shows nothing."""
    faults, pack = check(path, keys, witnesses)
    said = {"file": str(path), "result": "INVALID", "kinds": list(dict.fromkeys(kind for kind, _ in faults))} | NOTHING
    if faults:
        return said, faults, pack
    unexplained, possible = judge_removed(pack) if pack.log else (0, 0)
    because = []
    if pack.log:
        ends = pack.log["claim"] == "complete" and pack.until < pack.manifest["period"]["until"]
        of_pack = {"filters": pack.log["claim"] == "inclusion", "end": ends, "removed": unexplained}
        because = [reason for reason, holds in of_pack.items() if holds]
    said |= {
        "result": "UNPROVEN" if not pack.log else "PARTIAL" if because else "COMPLETE",
        "workspace": pack.manifest["workspace"],
        "pack": pack.manifest["definition"]["name"],
        "events": len(pack.events),
        "withheld": {f.decode(): sum(f.decode() in event.withheld for event in pack.events) for f in FIELDS},
        "stubs": len(pack.stubs),
        "removed": len(pack.removed),
        "unexplained": unexplained,
        "possibly_in_period": possible,
        "complete_until": pack.until,
        "partial_because": because,
        "key": pack.key and pack.key.vkey,
        "key_from_pack": bool(pack.key and not keys),
    }
    return said, faults, pack


def in_words(said, faults, pack):
    """The lines below the result. A string of a pack stands quoted, after the name of what it is."""
    if faults:
        for kind, why in faults:
            yield f"fault       {kind}: {why}"
        return
    manifest, definition = pack.manifest, pack.manifest["definition"]
    origin = "built-in" if is_built_in(definition) else "the maker's own"
    yield f"workspace   {shown(manifest['workspace'])}"
    yield f"definition  {shown(definition['name'])}, version {definition['version']}, {origin}"
    yield f"period      from {manifest['period']['since']} to before {manifest['period']['until']}"
    yield "selects     " + ("events that match one of these rules" if definition["include"] else "every event")
    yield from rules_in_words(definition["include"], shown)
    yield from tags_in_words(definition["tags"], shown)
    if manifest["unclassified"]["events"]:
        yield f"untagged    {manifest['unclassified']['events']} events of the period, by the words of the maker"
        yield from unclassified_in_words(manifest["unclassified"]["actions"], shown)
    if manifest["filters"]:
        yield "filters     the events match all of these"
        yield from filters_in_words(manifest["filters"], shown)
    yield f"events      {said['events']}"
    for field, count in said["withheld"].items():
        if count:
            yield f"withheld    {field} of {count} events"
    if said["result"] == "UNPROVEN":
        yield "proof       none; the pack proves nothing"
        return
    if pack.log["claim"] == "inclusion":
        yield "proof       each event is in the log; nothing is said of others"
    else:
        yield f"proof       complete until {pack.until}, with {said['stubs']} stubs"
        yield f"removed     {said['removed']} leaves, {said['unexplained']} of them not explained"
        yield f"            {said['possibly_in_period']} of them may have been recorded in the period"
    if said["partial_because"]:
        yield f"partial     because of: {', '.join(said['partial_because'])}"
    if said["key_from_pack"]:
        yield "key         taken from the pack: it only shows that the pack agrees with itself"
    yield f"key         {quoted(said['key'])}"


def status_of(said):
    only_filters = said["partial_because"] == ["filters"]
    if said["result"] == "COMPLETE" or said["result"] == "PARTIAL" and only_filters:
        return 3 if said["key_from_pack"] else 0
    return 1


def key_of(kind):
    def parsed(vkey):
        try:
            key = Key(vkey)
            need(key.kind == kind, "the key is of another type")
        except Invalid as why:
            raise argparse.ArgumentTypeError(str(why)) from None
        return key

    return parsed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("pack", nargs="+")
    arguments.add_argument("--key", metavar="VKEY", type=key_of(LOG), action="append", default=[])
    arguments.add_argument("--witness", metavar="VKEY", type=key_of(WITNESS), action="append", default=[])
    arguments.add_argument("--json", action="store_true")
    arguments, statuses = arguments.parse_args(), {0}
    for path in arguments.pack:
        try:
            said, faults, pack = report(path, arguments.key, arguments.witness)
            words = [f"    {line}" for line in in_words(said, faults, pack)]
            statuses.add(status_of(said))
        except (OSError, NotAPack) as why:
            said = {"file": path, "result": None, "kinds": []} | NOTHING
            reason = why.strerror if isinstance(why, OSError) else str(why)
            words = [f"    reason      {reason}"]
            statuses.add(2)
        text = "\n".join([f"{said['result'] or 'NOT CHECKED'}  {shown(path, 4096)}", *words])
        print(json.dumps(said) if arguments.json else text, flush=True)
    return next(status for status in (2, 1, 3, 0) if status in statuses)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())
