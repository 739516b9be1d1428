"""The events of the vectors."""

from datetime import datetime, timedelta

from writer import MAX, SOURCE, s


def micros(*parts):
    return (datetime(*parts) - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def event(description, **changes):
    now = micros(2025, 3, 14, 9, 26, 53, 589793)
    e = {
        "description": description,
        "id": 48211, "workspace": "acme", "occurred_at": now, "recorded_at": now,
        "category": "admin", "action": "role_changed", "outcome": "success",
        "actor": "dana@example.com", "targets": ["user:17", "team:3"],
        "source": dict(zip(SOURCE, ["203.0.113.9", "Mozilla/5.0", None, "req-7", "app", "web", "10.0.0.5"])),
        "details": '{"to": "admin", "from": "agent"}',
        "salt": bytes(range(16)).hex(), "leaf": None,
    }
    assert changes.keys() <= e.keys()
    return e | changes


HARD = "".join(map(chr, range(1, 32))) + "\"\\/\u007f\u0080\u00e9e\u0301\u2028\u2029\ufeff\uffff\U0001f512\U0010ffff"


def events():
    nobody = dict.fromkeys(SOURCE)
    yield event("the example of FORMAT.md")
    yield event("in a log, at leaf 0", leaf=0)
    yield event("greatest id and leaf", id=MAX, leaf=MAX)
    yield event("least of everything", id=1, workspace="", occurred_at=micros(1, 1, 1), recorded_at=micros(1, 1, 1),
                category="", action="", outcome="", actor=None, targets=[], source=nobody, details="{}",
                salt="00" * 16)
    yield event("no actor", actor=None, category="auth", action="login_failed", outcome="denied")
    yield event("an actor that is the empty string", actor="")
    yield event("an actor that is the word null", actor="null")
    yield event("one empty target", targets=[""])
    yield event("many targets", targets=["ticket:%d" % i for i in range(300)])
    yield event("targets with commas, brackets and repetition", targets=["a,b", "[", "]", "\",\"", "a,b"])
    yield event("hard characters in every string", workspace=HARD, category=HARD, action=HARD, outcome=HARD,
                actor=HARD, targets=[HARD, HARD], source=dict.fromkeys(SOURCE, HARD),
                details='{%s: %s}' % (s(HARD), s(HARD)))
    yield event("U+0000, which PostgreSQL does not hold, but the format does", actor="a\0b")
    yield event("text that looks like a key", workspace='","outcome":"', action='success","actor":null',
                actor='","targets":[],"source":{', details='{"leaf": null, "salt": "\\",\\"leaf\\":7}"}')
    yield event("only the last source field is known", source=nobody | {"client_addr": "2001:db8::1"})
    yield event("the epoch", occurred_at=0, recorded_at=1)
    yield event("a microsecond before the epoch", occurred_at=-1)
    yield event("leap day of a fourth year", occurred_at=micros(2024, 2, 29, 23, 59, 59, 999999),
                recorded_at=micros(2024, 3, 1))
    yield event("leap day of a four hundredth year, none in a hundredth", occurred_at=micros(2000, 2, 29),
                recorded_at=micros(2100, 3, 1) - 1)
    yield event("last microsecond of the year 9999", occurred_at=micros(9999, 12, 31, 23, 59, 59, 999999),
                recorded_at=micros(9999, 12, 31, 23, 59, 59, 999999))
    yield event("micros that need leading zeros", occurred_at=micros(2025, 1, 2, 3, 4, 5, 6))
    yield event("numbers keep every digit",
                details='{"a": 0.1000, "b": 1%s, "c": -0.%s1, "d": -0, "e": 12345678901234567890}'
                % ("0" * 400, "0" * 300))
    yield event("numbers with exponents", details='{"a": 1E+2, "b": -1.5e-400, "c": 0e0}')
    yield event("details nested 100 deep", details='{"a": ' * 50 + "[" * 50 + "]" * 50 + "}" * 50)
    yield event("every kind of value in details",
                details='{"a": null, "b": true, "c": false, "d": [], "e": {}, "f": [1, "x", [null]], "": ""}')
    yield event("details with other spacing and repeated keys",
                details='{"a":1,"a" : 2  ,   "b":[ 1 , 2 ],"c":{ },"d":[ ] }')
    known = dict.fromkeys(SOURCE, "x")
    yield event("a masked secret", source=known | {"masked": 1})
    yield event("very many masked secrets", source=nobody | {"masked": 10**9 - 1})
    yield event("an adjusted value", source=known | {"adjusted": ["user_agent"]})
    yield event("masked secrets and adjusted values", source=nobody | {"masked": 12, "adjusted": ["ip", HARD, ""]})
    yield event("a salt whose base64 uses + and /", salt="fbefbe" + "ff" * 13)
