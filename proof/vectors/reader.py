"""A parser of event lines, written from FORMAT.md: the part of a verifier."""

import base64
import re
from datetime import datetime

from writer import FIELDS, MAX, SOURCE, body_of, digest, field_salt, leaf_hash_of

S = r'"(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))*"'
T = r'"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z"'
N = r"(?:0|[1-9][0-9]*)"
HEAD = re.compile(r'\{"v":1,"id":(%s),"workspace":%s,"occurred_at":(%s),"recorded_at":(%s)' % (N, S, T, T)
                  + r',"category":%s,"action":%s,"outcome":%s' % (S, S, S), re.ASCII)
SHOWN = {
    "actor": re.compile("null|" + S),
    "targets": re.compile(r"\[(?:%s(?:,%s)*)?\]" % (S, S)),
    "source": re.compile(r"\{" + ",".join('"%s":(?:null|%s)' % (k, S) for k in SOURCE)
                         + r'(?:,"masked":[1-9][0-9]{0,8})?(?:,"adjusted":\[%s(?:,%s)*\])?\}' % (S, S)),
}
DIGEST = re.compile(r'"([0-9a-f]{64})"')
B64 = re.compile(r'"([A-Za-z0-9+/]*={0,2})"')
LEAF = re.compile(r',"leaf":(null|%s)\}' % N)
NUMBER = r"-?%s(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?" % N
TOKEN = re.compile(r"\ *(?:(%s)|(%s)|(true|false|null)|([\[\]{}:,]))" % (S, NUMBER))


class Invalid(Exception):
    pass


class Reader:
    def __init__(self, text):
        self.text, self.at = text, 0

    def take(self, pattern):
        m = pattern.match(self.text, self.at)
        if not m:
            raise Invalid(self.at)
        self.at = m.end()
        return m

    def has(self, literal):
        found = self.text.startswith(literal, self.at)
        self.at += len(literal) * found
        return found

    def need(self, literal):
        if not self.has(literal):
            raise Invalid(self.at)

    def b64(self, length):
        text = self.take(B64).group(1)
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise Invalid(self.at) from error
        if len(data) != length or base64.b64encode(data).decode() != text:
            raise Invalid(self.at)
        return data

    def details(self):
        """Reads a JSON object token by token. An explicit stack allows any depth."""
        start, stack, state = self.at, [], "value"
        if not self.text.startswith("{", start):
            raise Invalid(start)
        while True:
            m = self.take(TOKEN)
            string, number, word, mark = m.groups()
            if state in ("value", "first value") and mark in ("{", "["):
                stack.append(mark)
                state = "first key" if mark == "{" else "first value"
            elif state in ("value", "first value") and (string or number or word):
                state = "after"
            elif state in ("key", "first key") and string:
                state = "colon"
            elif state == "colon" and mark == ":":
                state = "value"
            elif state == "after" and mark == ",":
                state = "key" if stack[-1] == "{" else "value"
            elif (mark == "}" and state in ("after", "first key") and stack[-1] == "{"
                  or mark == "]" and state in ("after", "first value") and stack[-1] == "["):
                stack.pop()
                state = "after"
                if not stack:
                    return self.text[start:self.at]
            else:
                raise Invalid(self.at)


def check_time(parts):
    try:
        datetime(*map(int, parts))
    except ValueError as error:
        raise Invalid(0) from error


def verify(line):
    """Returns the leaf hash of a line. Raises Invalid if the line is invalid."""
    try:
        r = Reader(line.decode("utf-8", "strict"))
    except UnicodeDecodeError as error:
        raise Invalid(error.start) from error
    m = r.take(HEAD)
    head = m.group(0)
    check_time(m.groups()[2:9])
    check_time(m.groups()[10:17])
    if not 1 <= int(m.group(1)) <= MAX:
        raise Invalid(0)
    if r.has(',"body":'):
        body = r.b64(32)
    else:
        raw, given = {}, {}
        for f in FIELDS:
            if r.has(',"%s_digest":' % f):
                given[f] = bytes.fromhex(r.take(DIGEST).group(1))
            else:
                r.need(',"%s":' % f)
                raw[f] = r.details() if f == "details" else r.take(SHOWN[f]).group(0)
        if not given:
            r.need(',"salt":')
            salt = r.b64(16)
            salts = {f: field_salt(salt, f) for f in FIELDS}
        else:
            r.need(',"salts":{')
            salts = {}
            for f in raw:
                r.need((',' if salts else '') + '"%s":' % f)
                salts[f] = r.b64(32)
            r.need("}")
        body = body_of(given | {f: digest(salts[f], raw[f]) for f in raw})
    leaf = r.take(LEAF).group(1)
    if leaf != "null" and int(leaf) > MAX or r.at != len(r.text):
        raise Invalid(r.at)
    return leaf_hash_of(head, body)
