"""A writer of event lines and their hashes, written from FORMAT.md."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

FIELDS = ["actor", "targets", "source", "details"]
SOURCE = ["ip", "user_agent", "session_id", "request_id", "database_user", "application_name", "client_addr"]
SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
MAX = 2**63 - 1


def s(text):
    return '"' + "".join(SHORT.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in text) + '"'


def s_or_null(text):
    return "null" if text is None else s(text)


def t(micros):
    time = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    return '"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"' % (
        time.year, time.month, time.day, time.hour, time.minute, time.second, time.microsecond)


def b64(data):
    return '"' + base64.b64encode(data).decode() + '"'


def leaf_end(leaf):
    return ',"leaf":' + ("null" if leaf is None else str(leaf)) + "}"


def head_of(e):
    return '{"v":1,"id":%d,"workspace":%s,"occurred_at":%s,"recorded_at":%s,"category":%s,"action":%s,"outcome":%s' % (
        e["id"], s(e["workspace"]), t(e["occurred_at"]), t(e["recorded_at"]),
        s(e["category"]), s(e["action"]), s(e["outcome"]))


def changes(source):
    masked, adjusted = source.get("masked", 0), source.get("adjusted", [])
    return (',"masked":%d' % masked if masked else "") + (
        ',"adjusted":[' + ",".join(map(s, adjusted)) + "]" if adjusted else "")


def raw_fields(e):
    return {
        "actor": s_or_null(e["actor"]),
        "targets": "[" + ",".join(s(x) for x in e["targets"]) + "]",
        "source": "{" + ",".join('"%s":%s' % (k, s_or_null(e["source"][k])) for k in SOURCE) + changes(e["source"]) + "}",
        "details": e["details"],
    }


def full_line(e):
    fields = "".join(',"%s":%s' % item for item in raw_fields(e).items())
    return head_of(e) + fields + ',"salt":' + b64(bytes.fromhex(e["salt"])) + leaf_end(e["leaf"])


def withheld_line(e, names):
    raw, salts, digests = raw_fields(e), field_salts(e), field_digests(e)
    line = head_of(e)
    for f in FIELDS:
        line += ',"%s_digest":"%s"' % (f, digests[f].hex()) if f in names else ',"%s":%s' % (f, raw[f])
    shown = ",".join('"%s":%s' % (f, b64(salts[f])) for f in FIELDS if f not in names)
    return line + ',"salts":{' + shown + "}" + leaf_end(e["leaf"])


def stub_line(e):
    return head_of(e) + ',"body":' + b64(body_of(field_digests(e))) + leaf_end(e["leaf"])


def field_salt(salt, f):
    return hmac.new(salt, f.encode(), hashlib.sha256).digest()


def field_salts(e):
    return {f: field_salt(bytes.fromhex(e["salt"]), f) for f in FIELDS}


def digest(salt_f, raw):
    return hashlib.sha256(salt_f + raw.encode()).digest()


def field_digests(e):
    salts = field_salts(e)
    return {f: digest(salts[f], raw) for f, raw in raw_fields(e).items()}


def body_of(digests):
    return hashlib.sha256(b"".join(digests[f] for f in FIELDS)).digest()


def leaf_hash_of(head, body):
    return hashlib.sha256(b"\x00" + head.encode() + body).digest()
