"""Invalid lines, each with a description of its error."""

from events import event
from writer import FIELDS, b64, field_digests, field_salts, full_line, head_of, stub_line, withheld_line


def invalid():
    base = full_line(event(""))
    short = withheld_line(event(""), ["details"])
    none = withheld_line(event(""), FIELDS)
    stub = stub_line(event(""))

    def change(description, old, new, line=base):
        assert line.count(old) >= 1, (description, old)
        return description, line.replace(old, new, 1)

    def details(description, text):
        return change("details: " + description, '{"to": "admin", "from": "agent"}', text)

    yield "empty", ""
    yield "not JSON", "event"
    yield "an empty object", "{}"
    yield "byte order mark before the line", "\ufeff" + base
    yield "space before the line", " " + base
    yield "space after the line", base + " "
    yield "line feed after the line", base + "\n"
    yield "comma after the line", base + ","
    yield "a second line", base + base
    yield "last byte missing", base[:-1]
    yield "the head alone", head_of(event(""))
    yield "the head as an object", head_of(event("")) + "}"
    yield change("another version", '"v":1', '"v":2')
    yield change("version as a string", '"v":1', '"v":"1"')
    yield change("version missing", '"v":1,', "")
    yield change("space after a colon", '"v":1', '"v": 1')
    yield change("space after a comma", ',"id"', ', "id"')
    yield change("tab before a key", ',"actor"', ',\t"actor"')
    yield change("id 0", '"id":48211', '"id":0')
    yield change("negative id", '"id":48211', '"id":-1')
    yield change("id with a leading zero", '"id":48211', '"id":048211')
    yield change("id with a plus sign", '"id":48211', '"id":+48211')
    yield change("id with a fraction", '"id":48211', '"id":48211.0')
    yield change("id with an exponent", '"id":48211', '"id":4e4')
    yield change("id beyond 2^63 - 1", '"id":48211', '"id":9223372036854775808')
    yield change("id beyond 2^64", '"id":48211', '"id":18446744073709551617')
    yield change("id as a string", '"id":48211', '"id":"48211"')
    yield change("id empty", '"id":48211', '"id":')
    yield change("id in other digits", '"id":48211', '"id":\u0664')
    end = '"client_addr":"10.0.0.5"'
    yield change("masked 0", end, end + ',"masked":0')
    yield change("masked null", end, end + ',"masked":null')
    yield change("masked as a string", end, end + ',"masked":"1"')
    yield change("masked with a leading zero", end, end + ',"masked":01')
    yield change("masked with ten digits", end, end + ',"masked":1000000000')
    yield change("adjusted empty", end, end + ',"adjusted":[]')
    yield change("adjusted null", end, end + ',"adjusted":null')
    yield change("adjusted with a null", end, end + ',"adjusted":[null]')
    yield change("adjusted before masked", end, end + ',"adjusted":["ip"],"masked":1')
    yield change("masked twice", end, end + ',"masked":1,"masked":1')
    yield change("masked before the other keys", '{"ip"', '{"masked":1,"ip"')
    yield change("workspace null", '"workspace":"acme"', '"workspace":null')
    yield change("workspace twice", '"workspace":"acme"', '"workspace":"acme","workspace":"acme"')
    yield change("workspace after the times", '"workspace":"acme","occurred_at":"2025-03-14T09:26:53.589793Z"',
                 '"occurred_at":"2025-03-14T09:26:53.589793Z","workspace":"acme"')
    yield change("an unknown key in the head", ',"category"', ',"kind":"x","category"')
    yield change("an unknown key at the end", '"leaf":null', '"leaf":null,"x":1')
    yield change("key with an escape", '"actor"', '"\\u0061ctor"')
    yield change("key in upper case", '"actor"', '"Actor"')

    time = "2025-03-14T09:26:53.589793Z"
    for description, bad in [
            ("five decimals", time.replace("3Z", "Z")), ("seven decimals", time.replace("Z", "0Z")),
            ("no decimals", "2025-03-14T09:26:53Z"), ("an offset", time.replace("Z", "+00:00")),
            ("lower-case t", time.replace("T", "t")), ("lower-case z", time.replace("Z", "z")),
            ("a space for the T", time.replace("T", " ")), ("decimal comma", time.replace(".", ",")),
            ("month 00", time.replace("-03-", "-00-")), ("month 13", time.replace("-03-", "-13-")),
            ("day 00", time.replace("-14T", "-00T")), ("day 32", time.replace("-14T", "-32T")),
            ("31 April", time.replace("03-14", "04-31")),
            ("29 February of a common year", time.replace("03-14", "02-29")),
            ("29 February 2100", time.replace("2025-03-14", "2100-02-29")), ("hour 24", time.replace("T09", "T24")),
            ("minute 60", time.replace(":26:", ":60:")), ("second 60", time.replace(":53.", ":60.")),
            ("year 0000", time.replace("2025", "0000")), ("year 10000", time.replace("2025", "10000")),
            ("negative year", time.replace("2025", "-025")), ("signed month", time.replace("-03-", "-+3-")),
            ("infinity", "infinity"), ("empty", ""),
            ("digits that are not ASCII", time.replace("2025", "\u0662\u0660\u0662\u0665"))]:
        yield change("time: " + description, time, bad)
    yield change("time: in recorded_at", '"recorded_at":"2025', '"recorded_at":"0000')
    yield change("time null", '"occurred_at":"%s"' % time, '"occurred_at":null')

    for description, bad in [
            ("escaped slash", '"a\\/b"'), ("escaped letter", '"\\u0041"'), ("upper-case HEX", '"\\u001F"'),
            ("long form of a line feed", '"\\u000a"'), ("long form of a quote", '"\\u0022"'),
            ("escaped DEL", '"\\u007f"'), ("surrogate pair", '"\\ud83d\\udd12"'), ("lone surrogate", '"\\ud800"'),
            ("raw tab", '"a\tb"'), ("raw line feed", '"a\nb"'), ("raw U+0000", '"a\0b"'), ("raw U+001F", '"\x1f"'),
            ("unknown escape", '"\\v"'), ("three digits", '"\\u001"'), ("single quotes", "'a'"),
            ("never closed", '"a'), ("ends in a backslash", '"a\\"'), ("no quotes", "dana")]:
        yield change("string: " + description, '"dana@example.com"', bad)
        yield change("string in workspace: " + description, '"acme"', bad)
        yield details("string, " + description, '{"a": ' + bad + '}')

    yield change("actor a number", '"actor":"dana@example.com"', '"actor":17')
    yield change("actor Null", '"actor":"dana@example.com"', '"actor":Null')
    yield change("actor nullx", '"actor":"dana@example.com"', '"actor":nullx')
    yield change("actor missing", ',"actor":"dana@example.com"', "")
    yield change("actor twice", ',"actor":"dana@example.com"', ',"actor":"dana@example.com","actor":null')
    yield change("actor and its digest", ',"targets"', ',"actor_digest":"%s","targets"' % ("0" * 64))
    yield change("targets null", '["user:17","team:3"]', "null")
    yield change("targets a string", '["user:17","team:3"]', '"user:17"')
    yield change("targets hold null", '["user:17","team:3"]', '["user:17",null]')
    yield change("targets hold a number", '["user:17","team:3"]', "[17]")
    yield change("targets with a space", '["user:17","team:3"]', '["user:17", "team:3"]')
    yield change("empty targets with a space", '["user:17","team:3"]', "[ ]")
    yield change("targets with a comma at the end", '["user:17","team:3"]', '["user:17",]')
    yield change("targets with a comma alone", '["user:17","team:3"]', "[,]")
    yield change("targets without a comma", '["user:17","team:3"]', '["user:17""team:3"]')
    yield change("targets never closed", '["user:17","team:3"]', '["user:17"')
    yield change("targets before the actor", '"actor":"dana@example.com","targets":["user:17","team:3"]',
                 '"targets":["user:17","team:3"],"actor":"dana@example.com"')
    yield change("source null", base[base.index('{"ip"'):base.index(',"details"')], "null")
    yield change("source empty", base[base.index('{"ip"'):base.index(',"details"')], "{}")
    yield change("source key missing", '"session_id":null,', "")
    yield change("source key twice", '"session_id":null,', '"session_id":null,"session_id":null,')
    yield change("source keys in another order", '"session_id":null,"request_id":"req-7"',
                 '"request_id":"req-7","session_id":null')
    yield change("unknown source key", '"client_addr":"10.0.0.5"', '"client_addr":"10.0.0.5","port":"1"')
    yield change("source value a number", '"session_id":null', '"session_id":1')
    yield change("source with a space", '"session_id":null', '"session_id": null')

    for text in [
            'null', '"a"', '[]', '1', '', '{', '}', '{]', '{,}', '{"a"}', '{"a":}', '{"a": 1,}', '{"a" 1}',
            '{"a":: 1}', '{"a": 1 "b": 2}', '{1: 2}', '{null: 2}', '{"a": [1}', '{"a": [1]]}', '{"a": [1,]}',
            '{"a": [,1]}', '{"a": [1 2]}', '{"a": {}}}', '{"a": 01}', '{"a": +1}', '{"a": -}', '{"a": 1.}',
            '{"a": .5}', '{"a": 1e}', '{"a": 1e+}', '{"a": 0x1}', '{"a": NaN}', '{"a": Infinity}',
            '{"a": -Infinity}', '{"a": True}', '{"a": nul}', '{"a": truefalse}', '{"a": 1}{}', '{} ', ' {}',
            '{"a":\t1}', '{"a":\n1}', '{"a":\r1}', '{"a":\u00a01}', '{"a": 1} ', '{"a": /**/ 1}', '{"a": \'b\'}',
            '{"a": 1--1}', '{"a": - 1}', '{"a": "b" "c"}', '{"a" "b"}', '{"a": [}', '{"a": []', '{"a": [[1], 2}]',
            '{"a", "b"}', '{"a": 1: 2}', '["a": 1]', '{"a": ["b": 1]}',
    ]:
        yield details(text, text)
    yield details("nested 20,000 deep and never closed", '{"a": ' + "[" * 20000)

    salt = '"AAECAwQFBgcICQoLDA0ODw=="'
    for description, bad in [
            ("without padding", '"AAECAwQFBgcICQoLDA0ODw"'), ("unused bits set", '"AAECAwQFBgcICQoLDA0ODx=="'),
            ("15 bytes", '"AAECAwQFBgcICQoLDA0O"'), ("17 bytes", '"AAECAwQFBgcICQoLDA0ODxA="'),
            ("empty", '""'), ("null", "null"),
            ("URL alphabet", '"AAECAwQFBgcICQoLDA0O_w=="'), ("white space", '"AAECAwQFBgcI CQoLDA0ODw=="'),
            ("hexadecimal", '"000102030405060708090a0b0c0d0e0f"'), ("escape", '"AAECAwQFBgcICQoLDA0OD\\u0077=="')]:
        yield change("salt: " + description, salt, bad)
    yield change("salt missing", ',"salt":' + salt, "")
    yield change("salt after leaf", ',"salt":%s,"leaf":null' % salt, ',"leaf":null,"salt":' + salt)
    all_salts = ",".join('"%s":%s' % (f, b64(v)) for f, v in field_salts(event("")).items())
    yield change("salts with all four fields shown", '"salt":' + salt, '"salts":{%s}' % all_salts)

    for bad in ["-1", "00", "01", "1.0", "1e3", '"1"', "9223372036854775808", "", "nul", "true", "null "]:
        yield change("leaf: " + (bad or "empty"), '"leaf":null', '"leaf":' + bad)
    yield change("leaf missing", ',"leaf":null', "")

    hexes = field_digests(event(""))["details"].hex()
    for description, bad in [("upper case", hexes.upper()), ("63 digits", hexes[1:]), ("65 digits", hexes + "0"),
                             ("not hexadecimal", "g" + hexes[1:]), ("base64", b64(bytes.fromhex(hexes))[1:-1])]:
        yield change("details_digest: " + description, hexes, bad, short)
    yield change("details_digest null", '"%s"' % hexes, "null", short)
    yield change("unknown digest", "details_digest", "detail_digest", short)
    salts = short[short.index(',"salts"'):short.index(',"leaf"')]
    actor = b64(field_salts(event(""))["actor"])
    yield change("salt where a field is withheld", salts, ',"salt":' + salt, short)
    yield change("salt and salts", salts, ',"salt":' + salt + salts, short)
    yield change("salts missing", salts, "", short)
    yield change("salts empty where fields are shown", salts, ',"salts":{}', short)
    yield change("salts null where nothing is shown", ',"salts":{}', ',"salts":null', none)
    yield change("salts of a withheld field", '"},"leaf"', '","details":%s},"leaf"' % actor, short)
    yield change("salts where nothing is shown", ',"salts":{}', ',"salts":{"actor":%s}' % actor, none)
    yield change("salts in another order", salts, ',"salts":{%s}' % ",".join(
        '"%s":%s' % (f, b64(field_salts(event(""))[f])) for f in ("targets", "actor", "source")), short)
    yield change("salts with a space", '"salts":{', '"salts":{ ', short)
    yield change("a salt of 16 bytes in salts", actor, salt, short)
    yield change("salts with unused bits set", actor, actor[:43] + chr(ord(actor[43]) + 1) + actor[44:], short)
    yield change("details and its digest", ',"details_digest"', ',"details":{},"details_digest"', short)

    body = stub[stub.index(',"body":') + 8:stub.index(',"leaf"')]
    yield change("body of 16 bytes", body, salt, stub)
    yield change("body as hexadecimal", body, '"%s"' % hexes, stub)
    yield change("body with unused bits set", body, body[:43] + chr(ord(body[43]) + 1) + body[44:], stub)
    yield change("body twice", ',"leaf"', ',"body":%s,"leaf"' % body, stub)
    yield change("stub with a salt", ',"leaf"', ',"salt":%s,"leaf"' % salt, stub)
    yield change("stub with an actor", ',"body"', ',"actor":null,"body"', stub)
    yield change("body in a full line", ',"leaf"', ',"body":%s,"leaf"' % body)

    raw = base.encode()
    for description, bad in [("a byte that is never UTF-8", b"\xff"), ("Latin-1", b"\xe9"), ("overlong", b"\xc0\xaf"),
                             ("a surrogate", b"\xed\xa0\x80"), ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
                             ("a sequence cut short", b"\xf0\x9f\x94")]:
        yield "UTF-8: " + description, raw.replace(b"acme", b"ac" + bad + b"me")
        yield "UTF-8 in details: " + description, raw.replace(b"agent", bad)
