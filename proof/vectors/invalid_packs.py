"""The packs that are invalid. Each breaks one rule: all that follows from the changed thing is made from the change."""

import json

import pack
import zips
from pack import item, noon
from plans import EVERYTHING, FILTERED, INCLUSION, LOGINS, REMOVALS, SMALL, SYSTEM, TAGGED, UNPROVEN, WHOLE
from plans import built_in, day, log, removal, with_removals
from valid_packs import filtered, flipped_signature, imported, put, replaced, system_events
from writer import MAX, stub_line


def packs():
    """Yields name, about, bytes and kind of fault."""
    for part in (
        of_zip,
        of_manifest,
        of_definition,
        of_files,
        of_line,
        of_event,
        of_tables,
        of_readme,
        of_log,
        of_checkpoint,
        of_head,
        of_leaf,
        of_stub,
        of_root,
        of_prefixes,
    ):
        kind = part.__name__[3:]
        for name, about, plan, steps in part():
            yield kind + "-" + name, about, pack.build(plan, steps)[0], kind


def unchecked():
    """Yields name, about and bytes of files that are no packs that can be checked."""
    for name, about, steps in [
        ("not-a-zip", "the file does not have the end record of a zip", {"zip": lambda data: data[:-22]}),
        ("no-manifest", "the zip has no manifest.json", {"entries": lambda entries: entries[:-1]}),
        ("version-2", "the pack is of version 2", {"broken": put("pack_version", value=2)}),
        (
            "version-2-other-keys",
            "the pack is of version 2, and has other keys",
            {"broken": lambda made: {"pack_version": 2, "x": 1}},
        ),
        ("version-0", "the pack is of version 0", {"broken": put("pack_version", value=0)}),
        ("version-large", "the pack is of version 2^53 + 1", {"broken": put("pack_version", value=2**53 + 1)}),
    ]:
        yield name, about, pack.build(UNPROVEN, steps)[0]


# Steps


def drop(*path):
    def change(made):
        inner = made
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return made

    return change


def swap(old, new):
    """Replaces a text, which must occur, in what was made."""

    def change(made):
        assert old in made, old
        return made.replace(old, new, 1)

    return change


def in_file(name, change):
    return {"files": lambda files: files | {name: change(files[name])}}


def in_line(leaf, change):
    """Changes the line of a leaf, in the file in which it stands."""
    end = '"leaf":%d' % leaf
    return {
        "lines": lambda lines: {
            name: [change(line) if line.endswith(end + "}") or end + "," in line else line for line in of_file]
            for name, of_file in lines.items()
        }
    }


def in_event(leaf, /, step="shown", **changes):
    """Changes an event. The step `shown` changes what the pack shows, and `leaves` the log."""
    return {
        step: lambda items: [
            one | {"event": one["event"] | changes} if one["event"]["leaf"] == leaf else one for one in items
        ]
    }


def in_item(leaf, step="leaves", **changes):
    return {step: lambda items: [one | changes if one["event"]["leaf"] == leaf else one for one in items]}


def without(*leaves):
    return {"shown": lambda items: [one for one in items if one["event"]["leaf"] not in leaves]}


def flipped(text):
    """Changes the first character of B64."""
    return ("B" if text[0] == "A" else "A") + text[1:]


# Rules


def of_zip():
    def entries(change):
        return {"entries": lambda made: change(made)}

    def first(**fields):
        return entries(lambda made: [zips.entry("README.txt", made[0]["data"], **fields), *made[1:]])

    def renamed(name):
        return entries(lambda made: [zips.entry(name, made[0]["data"]), *made[1:]])

    def written(**more):
        made = {}

        def keep(entries):
            made["entries"] = entries
            return entries

        return {"entries": keep, "zip": lambda data: zips.written(made["entries"], **more)}

    plan = UNPROVEN
    yield "before", "a byte stands before the first entry", plan, {"zip": lambda data: b"\0" + data}
    yield "after", "a byte stands after the end record", plan, {"zip": lambda data: data + b"\0"}
    yield "between", "bytes stand between two entries", plan, written(gap=b"PK\3\4")
    yield "comment", "the zip has a comment", plan, written(comment=b"COMPLETE")
    yield "counts", "the end record counts one entry more", plan, written(more=1)
    yield "crc", "the CRC of a content is another", plan, first(crc=1)
    yield "local-crc", "the CRC of a local header is another", plan, first(local_crc=1)
    yield "local-name", "a local header has another name", plan, first(local_name="README.TXT")
    yield "parent", "a name leads out of the folder", plan, renamed("../README.txt")
    yield "absolute", "a name begins with a slash", plan, renamed("/README.txt")
    yield "device", "a name is that of a device", plan, renamed("proof/nul.txt")
    yield "case", "two names differ in case only", plan, entries(lambda made: [*made, zips.entry("readme.TXT", b"")])
    yield "twice", "a name stands twice", plan, entries(lambda made: [*made, made[0]])
    yield "folder", "a name is the folder of another", plan, entries(
        lambda made: [*made, zips.entry("README.txt/a", b"")]
    )
    yield "link", "an entry is a symbolic link", plan, first(external=0xA1FF0000)
    yield "extra", "an entry has the extra field of a Unicode path", plan, first(extra=b"\x75\x70\x01\x00\x01")
    yield "utf-8", "the flag for UTF-8 is set", plan, first(flags=0x800)
    yield "encrypted", "the flag for encryption is set", plan, first(flags=1)
    yield "method", "an entry has another method", plan, first(method=12)
    yield "deflate", "a content is not the deflate stream that the directory says", plan, first(method=8)


def of_manifest():
    def broken(*path, value):
        return UNPROVEN, {"broken": put(*path, value=value)}

    def missing(*path):
        return UNPROVEN, {"broken": drop(*path)}

    def text(change):
        return UNPROVEN, {"manifest_text": change}

    for name, about, change in [
        ("not-json", "is not JSON", lambda text: text[:-1]),
        ("array", "is an array", lambda text: "[" + text + "]"),
        ("bom", "begins with a byte order mark", lambda text: "\ufeff" + text),
        ("not-utf-8", "is not UTF-8", swap("dana@", "\udcff@")),
        ("trailing", "has further bytes", lambda text: text + "{}"),
        ("nul", "ends with U+0000", lambda text: text + "\0"),
        ("comma", "has a comma before a brace", lambda text: text[:-1] + ",}"),
        ("comment", "has a comment", lambda text: "/* COMPLETE */" + text),
        ("nan", "has a number that is not JSON", swap('"export_event": 2000', '"export_event": NaN')),
        ("control", "has a line feed in a string", swap("dana@", "\n@")),
        ("twice", "has a known key twice", swap("{", '{"workspace": "acme", ')),
        ("twice-escaped", "has a known key twice, once with an escape", swap("{", '{"work\\u0073pace": "other", ')),
        ("twice-nested", "has a known key of an inner object twice", swap('"since":', '"since": "", "since":')),
        ("twice-free", "has a value of by_category twice", swap('"by_category": {', '"by_category": {"auth": 3, ')),
        ("fraction", "has an integer with a fraction", swap('"export_event": 2000', '"export_event": 2000.0')),
        ("exponent", "has an integer with an exponent", swap('"export_event": 2000', '"export_event": 2e3')),
        ("negative", "has a negative integer", swap('"export_event": 2000', '"export_event": -2000')),
        ("large", "has an integer above 2^63 - 1", swap('"export_event": 2000', '"export_event": %d' % (MAX + 1))),
    ]:
        yield name, "manifest.json " + about, *text(change)

    for name, path in [
        ("manifest", ()),
        ("period", ("period",)),
        ("definition", ("definition",)),
        ("snapshot", ("snapshot",)),
        ("control", ("definition", "controls", 0)),
        ("rule", ("definition", "include", 0)),
        ("column", ("definition", "summary", 0)),
        ("counts", ("counts",)),
        ("first", ("counts", "first")),
        ("software", ("software",)),
    ]:
        yield "key-" + name, "the object %s of manifest.json has an unknown key" % name, *broken(
            *path, "more", value=""
        )
    yield "key-files", "an element of files has an unknown key", UNPROVEN, {
        "listed": lambda of: [of[0] | {"more": 1}, *of[1:]]
    }
    for name, path in [
        ("manifest", ("exported_by",)),
        ("period", ("period", "until")),
        ("snapshot", ("snapshot", "kept_since")),
        ("definition", ("definition", "purpose")),
        ("tags", ("definition", "tags")),
        ("unclassified", ("unclassified",)),
        ("control", ("definition", "controls", 0, "ids")),
        ("column", ("definition", "summary", 0, "column")),
        ("counts", ("counts", "actors")),
        ("software", ("software", "postgresql")),
        ("proof", ("proof",)),
        ("key", ("key",)),
        ("first", ("counts", "first", "id")),
    ]:
        yield "without-" + name, "the key %s is missing in manifest.json" % path[-1], *missing(*path)

    yield "key-number", "the key is a number", *broken("key", value=1)
    yield "proof", "the claim is unknown", *broken("proof", value="partial")
    yield "version-text", "pack_version is a string", *broken("pack_version", value="1")
    yield "version-fraction", "pack_version is 1.0", *broken("pack_version", value=1.0)
    yield "version-true", "pack_version is true", *broken("pack_version", value=True)
    yield "filters-number", "the value of a filter is a number", *broken("filters", value={"actor": 1})
    yield "filters-empty", "a filter has no value", *broken("filters", value={"actor": []})
    yield "filters-object", "the value of a filter is an object", *broken("filters", value={"actor": {}})
    yield "counts-text", "a count is a string", *broken("counts", "events", value="4")
    yield "since-short", "a time has no microseconds", *broken("period", "since", value="2025-03-10T00:00:00Z")
    yield "since-zone", "a time is not in UTC", *broken("period", "since", value="2025-03-10T00:00:00.000000+00:00")
    yield "since-date", "a time is on a day that does not exist", *broken(
        "snapshot", "kept_since", value="2025-02-29T00:00:00.000000Z"
    )
    yield "period-empty", "the period ends when it begins", UNPROVEN | {"until": day(10)}, {}
    yield "period-reversed", "the period ends before it begins", UNPROVEN | {"until": day(9)}, {}
    yield "taken-early", "the snapshot was taken before the end of the period", UNPROVEN | {"taken_at": day(15) - 1}, {}

    for name, about, changes in [
        ("name-spaces", "a name of 3,000 spaces", {"name": " " * 3000}),
        ("name-empty", "an empty name", {"name": ""}),
        ("name-hyphen", "a name that begins with a hyphen", {"name": "-logins"}),
        ("name-case", "a name in upper case", {"name": "Logins"}),
        ("name-line", "a name that ends with a line feed", {"name": "logins\n"}),
        ("name-long", "a name of 41 characters", {"name": "a" * 41}),
        ("definition-version-0", "the version 0", {"version": 0}),
        ("definition-version-text", "a version that is a string", {"version": "3"}),
        ("title-empty", "an empty title", {"title": ""}),
        ("title-long", "a title of 2,001 characters", {"title": "a" * 2001}),
        ("title-direction", "a title with U+202E", {"title": "Log\u202eins"}),
        ("title-space", "a title that begins with a space", {"title": " Logins"}),
        ("purpose-spaces", "a purpose with two spaces", {"purpose": "Two  spaces."}),
        ("purpose-line", "a purpose with a line feed", {"purpose": "Two\nlines."}),
        ("purpose-ends", "a purpose that ends with a space", {"purpose": "This. "}),
        (
            "framework",
            "a framework with U+00AD",
            {"controls": [{"framework": "SOC\u00ad 2", "ids": [], "evidence": "Logs."}]},
        ),
        (
            "id-empty",
            "an empty id of a control",
            {"controls": [{"framework": "SOC 2", "ids": [""], "evidence": "Logs."}]},
        ),
        (
            "evidence-tab",
            "evidence with a tab",
            {"controls": [{"framework": "SOC 2", "ids": [], "evidence": "A\tlog."}]},
        ),
        ("rule-empty", "a rule without keys", {"include": [*LOGINS["include"], {}]}),
        (
            "rule-empty-arrays",
            "a rule with empty arrays",
            {"include": [*LOGINS["include"], {"actions": [], "outcomes": []}]},
        ),
        ("columns-33", "33 columns", {"summary": [{"column": "c%d" % n} for n in range(33)]}),
        ("rules-101", "101 rules", {"include": [{"actions": ["login_succeeded"]}] * 101}),
        ("values-1001", "a rule with 1,001 values", {"include": [{"actions": ["login_succeeded"] * 1001}]}),
        (
            "column-twice",
            "a column that stands twice",
            {"summary": [{"column": "a"}, {"column": "a", "actions": ["b"]}]},
        ),
        ("column-heading", "a column with the name of a heading", {"summary": [{"column": "failure"}]}),
        ("column-case", "a column in upper case", {"summary": [{"column": "Logins"}]}),
        ("column-digit", "a column that begins with a digit", {"summary": [{"column": "2fa"}]}),
        ("column-long", "a column of 41 characters", {"summary": [{"column": "a" * 41}]}),
        ("tag-more", "a tag that no rule has", {"tags": {"login": ["login_succeeded"]}}),
        ("tag-rule", "a rule with a tag that it does not list", {"include": [{"tags": ["login"]}]}),
        ("tag-column", "a column with a tag that it does not list", {"summary": [{"column": "a", "tags": ["login"]}]}),
        ("tag-order", "actions of a tag in another order", {"include": [{"tags": ["t"]}], "tags": {"t": ["b", "a"]}}),
        ("tag-twice", "an action that a tag has twice", {"include": [{"tags": ["t"]}], "tags": {"t": ["a", "a"]}}),
        (
            "tag-utf-16",
            "actions of a tag in the order of UTF-16",
            {"include": [{"tags": ["t"]}], "tags": {"t": ["\U00010000", "\uffee"]}},
        ),
        (
            "tag-10001",
            "a tag with 10,001 actions",
            {"include": [{"tags": ["t"]}], "tags": {"t": ["a%05d" % n for n in range(10_001)]}},
        ),
    ]:
        yield name, "the definition has " + about, UNPROVEN | {"definition": LOGINS | changes}, {}
    for name, about, value in [
        ("101", "names 101 actions", {"events": 101, "actions": {"a%d" % n: 1 for n in range(101)}}),
        ("zero", "names an action without events", {"events": 1, "actions": {"a": 1, "b": 0}}),
        ("more", "has less events than its actions", {"events": 2, "actions": {"a": 1, "b": 2}}),
        ("less", "has more events than its actions", {"events": 4, "actions": {"a": 1, "b": 2}}),
        ("text", "has a number that is a string", {"events": 1, "actions": {"a": "1"}}),
        ("array", "has an array of actions", {"events": 1, "actions": ["a"]}),
        ("key", "has an unknown key", {"events": 0, "actions": {}, "more": 0}),
        ("without", "has no key events", {"actions": {}}),
    ]:
        yield "unclassified-" + name, "unclassified " + about, *broken("unclassified", value=value)
    yield "tags-array", "the actions of a tag are a string", *broken("definition", "tags", value={"t": "a"})
    yield "rule-number", "a rule has a number among its actions", *broken(
        "definition", "include", 0, "actions", value=[1]
    )
    yield "rule-text", "a rule has a string in place of an array", *broken(
        "definition", "include", 0, "actions", value="a"
    )
    yield "definition-filters", "filters of the definition is a number", *broken("definition", "filters", value=0)
    for name, about, digits in [
        ("sha256-case", "in upper case", str.upper),
        ("sha256-short", "of 63 digits", lambda text: text[1:]),
    ]:
        yield name, "a SHA-256 is " + about, UNPROVEN, {
            "listed": lambda of, digits=digits: [of[0] | {"sha256": digits(of[0]["sha256"])}, *of[1:]]
        }


def of_definition():
    access = built_in("access-review")
    control = access["controls"][0]

    def of_login(*actions):
        return {"tags": access["tags"] | {"login": [*actions]}}

    for name, about, changes in [
        ("rules", "fewer tags", {"include": [{"tags": access["include"][0]["tags"][:-1]}]}),
        ("more-rules", "one rule more", {"include": [*access["include"], {"actions": ["never"]}]}),
        ("no-rules", "no rules", {"include": []}),
        ("order", "tags in another order", {"include": [{"tags": access["include"][0]["tags"][::-1]}]}),
        ("actions", "actions in place of tags", {"include": [{"actions": access["tags"]["login"]}]}),
        ("version", "an unknown version", {"version": 1}),
        ("title", "another title", {"title": "Access Review"}),
        ("purpose", "another purpose", {"purpose": access["purpose"] + " It is complete."}),
        (
            "control",
            "another evidence",
            {"controls": [control | {"evidence": "The control is met."}, *access["controls"][1:]]},
        ),
        ("controls", "fewer controls", {"controls": [control]}),
        (
            "column",
            "another column",
            {"summary": [access["summary"][0] | {"column": "log_ins"}, *access["summary"][1:]]},
        ),
        ("summary", "no columns", {"summary": []}),
        ("filters", "filters, which it does not have", {"filters": True}),
        ("tag-less", "a tag lacks a built-in action", of_login("sso_login_succeeded")),
        ("tag-none", "a tag has no action", of_login()),
        (
            "tag-foreign",
            "a tag has an action of another tag",
            of_login("login_failed", "login_succeeded", "sso_login_succeeded"),
        ),
    ]:
        yield name, "the definition has the name of a built-in one, and " + about, SMALL | {
            "definition": access | changes
        }, {}
    filters = {"filters": {"actor": "user:1"}, "claim": "inclusion", "items": filtered()}
    yield "own-filtered", "a definition of the maker's own allows no filters", WHOLE | filters, {}
    yield "built-in-filtered", "a built-in definition allows no filters", WHOLE | filters | {"definition": access}, {}


def of_files():
    def files(change):
        return {"files": change}

    def listed(change):
        return {"listed": change}

    def unlisted(change):
        """Changes the entries of the zip alone."""
        return {"entries": change}

    more = {"proof/more.json": b"[\n]\n"}
    yield "more", "the zip holds a file more, which the manifest does not list", SMALL, unlisted(
        lambda made: [*made, *zips.stored(more)]
    )
    yield "more-listed", "the zip holds a file more, which the manifest lists", SMALL, files(lambda made: made | more)
    yield "html", "the pack holds a page that claims to check it", SMALL, files(
        lambda made: made | {"verify.html": b"COMPLETE"}
    )
    yield "not-listed", "the manifest does not list a file", SMALL, listed(lambda of: of[1:])
    yield "listed-only", "a file is missing, and the manifest lists it", SMALL, unlisted(
        lambda made: made[:3] + made[4:]
    )
    yield "listed-twice", "the manifest lists a file twice", SMALL, listed(lambda of: [*of, of[0]])
    yield "listed-other", "the manifest lists a file that no pack has, and that is missing", SMALL, listed(
        lambda of: [*of, of[0] | {"name": "\u202eother"}]
    )
    yield "listed-manifest", "the manifest lists itself", SMALL, listed(
        lambda of: [*of, of[0] | {"name": "manifest.json"}]
    )
    yield "listed-none", "the manifest lists no file", SMALL, listed(lambda of: [])
    for name in (
        "README.txt",
        "events.csv",
        "summary.csv",
        "proof/checkpoint.txt",
        "proof/stubs.json",
        "proof/removed.json",
        "proof/removals.json",
        "proof/prefixes.bin",
    ):
        of_name = "without-" + name.split("/")[-1].split(".")[0].lower()
        yield of_name, name + " is missing", SMALL, files(
            lambda made, name=name: {key: data for key, data in made.items() if key != name}
        )
    yield "prefixes-of-inclusion", "an inclusion has prefixes.bin", INCLUSION | {"items": filtered()}, files(
        lambda made: made | {"proof/prefixes.bin": b""}
    )
    yield "proof-of-unproven", "a pack without a proof has a checkpoint", UNPROVEN, files(
        lambda made: made | {"proof/checkpoint.txt": b""}
    )
    for name, change in [("larger", 1), ("smaller", -1)]:
        yield name, "a file is %s than the manifest says" % ("smaller" if change > 0 else "larger"), SMALL, listed(
            lambda of, change=change: [of[0] | {"bytes": of[0]["bytes"] + change}, *of[1:]]
        )
    for index, name in [(0, "readme"), (1, "csv"), (2, "events"), (8, "stubs")]:
        yield "hash-" + name, "a file has another SHA-256 than the manifest says", SMALL, listed(
            lambda of, index=index: [*of[:index], of[index] | {"sha256": "0" * 64}, *of[index + 1 :]]
        )


def of_line():
    events, stubs, removed, removals = ("events.json", "proof/stubs.json", "proof/removed.json", "proof/removals.json")
    for name, about, file, change in [
        ("no-line-feed", "does not end with a line feed", events, lambda data: data[:-1]),
        ("two-line-feeds", "ends with two line feeds", events, lambda data: data + b"\n"),
        ("empty-line", "has an empty line", stubs, swap(b",\n", b",\n\n")),
        ("one-line", "has two elements on a line", stubs, swap(b",\n", b",")),
        ("no-comma", "has no comma between two elements", stubs, swap(b",\n", b"\n")),
        ("last-comma", "has a comma after the last element", stubs, swap(b"\n]", b",\n]")),
        ("comma-below", "has a comma at the beginning of a line", stubs, swap(b",\n", b"\n,")),
        ("empty-array", "is an empty array on one line", removed, lambda data: b"[]\n"),
        ("empty-file", "is empty", removed, lambda data: b""),
        ("crlf", "has carriage returns", stubs, lambda data: data.replace(b"\n", b"\r\n")),
        ("space", "has a space after a comma", stubs, swap(b",\n", b", \n")),
        ("bom", "begins with a byte order mark", events, lambda data: b"\xef\xbb\xbf" + data),
        ("object", "is an object", removals, lambda data: b"{}\n"),
        ("not-utf-8", "has a line that is not UTF-8", events, swap(b"user:", b"user\xff")),
    ]:
        yield name, "%s %s" % (file, about), SMALL, in_file(file, change)
    for name, about, change in [
        ("spacing", "an event has a space outside of its details", swap('"v":1,', '"v": 1,')),
        ("version", "an event is of another version", swap('"v":1', '"v":2')),
        ("key", "an event has a further key", swap('"salt"', '"more":1,"salt"')),
        ("no-salt", "an event has no salt", lambda line: line[: line.index(',"salt"')] + line[line.index(',"leaf"') :]),
        ("escape", "an event has an escape that the format does not have", swap("user:", "user\\u003a")),
        ("id-0", "an event has a leading zero in its id", swap('"id":1', '"id":01')),
        ("date", "an event occurred on a day that does not exist", swap("2025-03-11", "2025-02-30")),
        ("leaf-large", "an event has the leaf 2^63", swap('"leaf":10}', '"leaf":%d}' % 2**63)),
    ]:
        yield name, about, SMALL, in_line(10, change)
    stub = stub_line(log(20)[10]["event"])
    yield "stub-shown", "events.json has a stub", SMALL, in_line(10, lambda line: stub)
    yield "full-stub", "stubs.json has a full line", SMALL, in_line(
        11, lambda line: pack.full_line(log(20)[11]["event"])
    )
    yield "stub-removal", "removals.json has a stub", REMOVALS, in_line(
        17, lambda line: stub_line(REMOVALS["items"][17]["event"])
    )
    for name, about, change in [
        ("removed-space", "with a space", swap(",", ", ")),
        ("removed-null", "without a leaf", swap(":10,", ":null,")),
        ("removed-zero", "with a leading zero in its leaf", swap(":10,", ":010,")),
        ("removed-text", "whose leaf is a string", swap(":10,", ':"10",')),
        ("removed-short", "whose hash is of 31 bytes", lambda line: line[:18] + pack.b64(bytes(31)) + '"}'),
        ("removed-bits", "whose hash has unused bits", lambda line: line[:-4] + "B" + line[-3:]),
        ("removed-key", "with a further key", lambda line: line[:-1] + ',"id":1}'),
        (
            "removed-order",
            "with its keys in another order",
            lambda line: '{"hash":%s,"leaf":10}' % json.dumps(json.loads(line)["hash"]),
        ),
    ]:
        yield name, "removed.json has a line " + about, REMOVALS, in_line(10, change)


def of_event():
    yield "early", "an event occurred before the period", SMALL | {"since": day(10) + 1}, in_item(9, form="event")
    yield "late", "an event occurred at the end of the period", SMALL, in_item(14, form="event")
    yield "recorded-in-period", "an event was recorded in the period, and occurred before it", SMALL | {
        "items": replaced(10, item(10, day(11), "login_failed", "auth", "event", occurred_at=day(2)))
    }, {}
    yield "not-named", "the definition does not name an event", SMALL, in_item(11, form="event")
    yield "not-tagged", "no tag of the definition has the action of an event", SMALL | {
        "definition": TAGGED
    }, in_item(11, form="event")
    yield "half-named", "an event fits only one array of each rule", SMALL | {
        "items": replaced(10, item(10, day(11), "login_failed", "admin", "event"))
    }, {}
    yield "workspace", "an event is of another workspace", SMALL, in_event(10, "leaves", workspace="acme2")
    yield "workspace-stub", "a stub is of another workspace", SMALL, in_event(11, "leaves", workspace="Acme")
    yield "workspace-removal", "a removal is of another workspace", REMOVALS, in_event(17, "leaves", workspace="audit")
    yield "order", "two events stand in the wrong order", SMALL, {
        "order": lambda items: [items[1], items[0], *items[2:]]
    }
    yield "order-by-id", "two events that occurred at the same time stand in the wrong order", SMALL | {
        "items": log(20, occurred_at=day(12))
    }, {"order": lambda items: items[::-1]}
    yield "twice", "an event stands twice", UNPROVEN, {"order": lambda items: [items[0], *items]}
    yield "same-id", "two events have the same time and id", UNPROVEN, {
        "order": lambda items: [items[0] | {"event": items[0]["event"] | {"actor": "other"}}, *items]
    }


def of_tables():
    def csv(change):
        return SMALL, {"csv": change}

    def without_row(data):
        rows = data.split(b"\r\n")
        return b"\r\n".join(rows[:1] + rows[2:])

    def summary(change):
        return SMALL, {"summary": change}

    formulas = SMALL | {"items": replaced(10, item(10, day(11), "login_failed", "auth", actor="=1+1"))}
    hidden = SMALL | {"items": replaced(10, item(10, day(11), "login_failed", "auth", withheld=["actor"]))}
    yield "row", "events.csv lacks a row", *csv(without_row)
    yield "row-more", "events.csv has a row more", *csv(lambda data: data + b"1\r\n")
    yield "cell", "events.csv has another actor", *csv(swap(b",user:", b",User:"))
    yield "outcome", "events.csv has another outcome", *csv(swap(b",failure,", b",success,"))
    yield "bom", "events.csv has no byte order mark", *csv(lambda data: data[3:])
    yield "lf", "the rows of events.csv end with line feeds", *csv(lambda data: data.replace(b"\r\n", b"\n"))
    yield "quotes", "a cell of events.csv is quoted without need", *csv(swap(b",user:1,", b',"user:1",'))
    yield "formula", "a formula in events.csv has no apostrophe", formulas, {"csv": swap(b"'=1+1", b"=1+1")}
    yield "withheld", "events.csv does not name a withheld field", hidden, {"csv": swap(b",actor\r\n", b",\r\n")}
    yield "withheld-shown", "events.csv shows the content of a withheld field", hidden, {
        "csv": swap(b"success,,", b"success,user:1,")
    }
    yield "csv-empty", "events.csv is empty", *csv(lambda data: b"")
    yield "summary", "summary.csv has another number", *summary(swap(b",1,", b",2,"))
    yield "summary-row", "summary.csv lacks a row", *summary(without_row)
    yield "summary-order", "two rows of summary.csv are swapped", *summary(
        lambda data: b"\r\n".join([data.split(b"\r\n")[index] for index in (0, 2, 1, 3)])
    )
    yield "summary-heading", "summary.csv has another heading", *summary(swap(b"logins", b"admins"))
    yield "summary-none", "summary.csv has a row that counts no event", *summary(
        lambda data: data + b"others,,0,0,0,0,0,,\r\n"
    )
    yield "summary-time", "summary.csv has another time", *summary(swap(b"2025-03-", b"2024-03-"))

    first = {"id": 1010, "occurred_at": "2025-03-11T00:00:00.000000Z"}
    for name, path, value in [
        ("events", ("events",), 5),
        ("category", ("by_category", "auth"), 2),
        ("category-none", ("by_category", "other"), 0),
        ("outcome", ("by_outcome", "success"), 3),
        ("first", ("first",), first),
        ("first-id", ("first", "id"), 1),
        ("first-null", ("first",), None),
        ("last", ("last", "occurred_at"), "2025-03-14T00:00:00.000001Z"),
        ("actors", ("actors",), 4),
        ("others", ("events_of_other_actors",), 1),
    ]:
        yield "counts-" + name, "the member %s of counts is false" % path[0], SMALL, {"counts": put(*path, value=value)}
    yield "counts-category-less", "by_category in counts lacks a value", SMALL, {"counts": drop("by_category", "admin")}
    yield "counts-empty", "counts names a first event, and there is none", UNPROVEN | {"items": []}, {
        "counts": put("first", value=first)
    }


def of_readme():
    def of(change):
        """Makes README.txt for another manifest."""
        made = {}

        def keep(manifest):
            made["manifest"] = json.loads(json.dumps(manifest))
            return manifest

        return {"manifest": keep, "readme": lambda data: pack.readme(change(made["manifest"]))}

    inclusion = INCLUSION | {"items": filtered()}
    yield "sentence", "README.txt has a sentence more", SMALL, {
        "readme": lambda data: data + b"\nThe pack is complete.\n"
    }
    yield "claim", "README.txt is that of another claim", inclusion, of(put("proof", value="complete"))
    yield "unproven", "README.txt of a pack without a proof is that of one with a proof", UNPROVEN, of(
        put("proof", value="complete")
    )
    yield "key", "README.txt shows another key", SMALL, of(put("key", value=pack.STRANGER))
    yield "no-key", "README.txt shows no key", SMALL, of(put("key", value=None))
    yield "filters", "README.txt does not show the filters", inclusion, of(put("filters", value={}))
    yield "rules", "README.txt shows other rules", SMALL, of(put("definition", "include", value=LOGINS["include"][:1]))
    yield "tags", "README.txt shows fewer actions of a tag", SMALL | {"definition": TAGGED}, of(
        put("definition", "tags", "login", value=["login_succeeded"])
    )
    yield "unclassified", "README.txt shows no action without a tag", SMALL | {
        "unclassified": {"events": 1, "actions": {"user.login": 1}}
    }, of(put("unclassified", value={"events": 0, "actions": {}}))
    yield "workspace", "README.txt names another workspace", SMALL, of(put("workspace", value="acme2"))
    yield "expired", "README.txt does not say that events had expired", SMALL | {"kept_since": day(12)}, of(
        put("snapshot", "kept_since", value="2024-01-01T00:00:00.000000Z")
    )
    yield "crlf", "README.txt has carriage returns", SMALL, {"readme": lambda data: data.replace(b"\n", b"\r\n")}
    yield "bom", "README.txt begins with a byte order mark", SMALL, {"readme": lambda data: b"\xef\xbb\xbf" + data}
    yield "line-feed", "README.txt does not end with a line feed", SMALL, {"readme": lambda data: data[:-1]}
    yield "empty", "README.txt is empty", SMALL, {"readme": lambda data: b""}
    yield "raw", "a string stands in README.txt without its quoted form", SMALL | {
        "workspace": "a\u202eb",
        "items": log(20, workspace="a\u202eb"),
    }, {"readme": swap(b"a\\u{202e}b", "a\u202eb".encode())}


def of_log():
    def broken(*path, value, plan=SMALL):
        return plan, {"log": put(*path, value=value)}

    def text(change):
        return SMALL, {"log_text": change}

    for name, about, change in [
        ("not-json", "is not JSON", lambda text: text[:-1]),
        ("array", "is an array", lambda text: "[" + text + "]"),
        ("bom", "begins with a byte order mark", lambda text: "\ufeff" + text),
        ("not-utf-8", "is not UTF-8", swap('"acme"', '"acme\udcff"')),
        ("trailing", "has further bytes", lambda text: text + "x"),
        ("twice", "has a key twice", swap("{", '{"claim": "inclusion", ')),
        ("twice-nested", "has a key of a head twice", swap('"size":', '"size": 1, "size":')),
    ]:
        yield name, "log.json " + about, *text(change)
    for name, path in [("log", ()), ("head", ("head",)), ("from", ("from",))]:
        yield "key-" + name, "the object %s of log.json has an unknown key" % name, *broken(*path, "more", value=1)
    for name, path in [("from", ("from",)), ("log-id", ("log_id",)), ("path", ("head", "path")), ("first", ("first",))]:
        yield "without-" + name, "the key %s is missing in log.json" % path[-1], SMALL, {"log": drop(*path)}
    yield "version", "log.json is of version 2", *broken("v", value=2)
    yield "version-text", "the version of log.json is a string", *broken("v", value="1")
    yield "workspace", "log.json is of another workspace", *broken("workspace", value="acme2")
    yield "log-id", "the log id has 15 bytes", *broken("log_id", value=pack.b64(bytes(15)), plan=SYSTEM)
    yield "log-id-bits", "the log id has unused bits", *broken("log_id", value="A" * 21 + "B==", plan=SYSTEM)
    yield "size-text", "the size of the head is a string", *broken("head", "size", value="18")
    yield "size-fraction", "the size of the head is 18.0", *broken("head", "size", value=18.0)
    yield "size-large", "the size of the head is 2^63", *broken("head", "size", value=2**63)
    yield "root-short", "the root of the head has 31 bytes", *broken("head", "root", value=pack.b64(bytes(31)))
    yield "path-null", "the path of the head is null", *broken("head", "path", value=None)
    yield "heads-event-object", "the heads event is an object", *broken("head", "heads_event", value={})
    yield "hash-short", "a hash has 31 bytes", SMALL, {
        "log": lambda made: made | {"hashes": [pack.b64(bytes(31)), *made["hashes"][1:]]}
    }
    yield "hash-null", "a hash is null", SMALL, {"log": lambda made: made | {"hashes": [None, *made["hashes"][1:]]}}
    yield "claim-unknown", "the claim is unknown", *broken("claim", value="Complete")
    yield "claim-less", "log.json claims less than the manifest", *broken("claim", value="inclusion", plan=WHOLE)
    yield "claim-more", "log.json claims more than the manifest", *broken(
        "claim", value="complete", plan=INCLUSION | {"items": filtered()}
    )
    yield "complete-filters", "the claim is complete, and there are filters", SMALL | {
        "definition": FILTERED,
        "filters": {"actor": "user:1"},
    }, {}
    yield "inclusion-no-filters", "the claim is inclusion, and there are no filters", INCLUSION | {
        "filters": {},
        "items": filtered(),
    }, {}
    inclusion = INCLUSION | {"items": filtered()}
    yield "inclusion-from", "an inclusion has a beginning", inclusion | {"from": 9}, {}
    yield "inclusion-first", "an inclusion has a first leaf", *broken("first", value=9, plan=inclusion)
    yield "inclusion-stubs", "an inclusion has a stub", inclusion, {
        "shown": lambda items: [*items, log(20)[12] | {"form": "stub"}]
    }
    yield "inclusion-removed", "an inclusion has a removed leaf", inclusion, {
        "shown": lambda items: [*items, log(20)[12] | {"form": "removed"}]
    }
    yield "inclusion-removals", "an inclusion has a removal", inclusion, {
        "shown": lambda items: [*items, log(20)[11] | {"form": "removal"}]
    }
    yield "first", "the first leaf is not the size of the beginning", *broken("first", value=8)
    yield "first-0", "the first leaf is 0, and there is a beginning", *broken("first", value=0)
    yield "first-without-from", "the first leaf is 9, and there is no beginning", *broken("first", value=9, plan=WHOLE)
    yield "first-above", "the beginning is larger than the head", SMALL | {"from": 19}, {}
    yield "head-null", "the head of a workspace log is null", *broken("head", value=None)
    yield "system-head", "the system log has a recorded head", SYSTEM, {
        "log": lambda made: made | {"head": {"size": 1, "root": pack.b64(bytes(32)), "heads_event": "", "path": []}}
    }


def of_checkpoint():
    def note(change, plan=SMALL):
        return plan, {"note": change}

    def of_log(line):
        """Changes the line of the signature of the log."""
        return lambda made: made.replace(signature(made), line(signature(made)))

    def signature(made):
        return made.split("\n\n")[1].split("\n")[0] + "\n"

    def signed_by(name, seed):
        def change(made):
            text = made.split("\n\n")[0].replace(pack.ORIGIN, name) + "\n"
            return text + "\n" + pack.line(name, pack.LOG, seed, pack.SIGN(seed, text.encode()))

        return change

    def cut(line, length):
        data = pack.base64.b64decode(line.split(" ")[2])
        return line.rsplit(" ", 1)[0] + " " + pack.b64(data[:length]) + "\n"

    def with_text(change):
        """Signs another text."""

        def changed(made):
            text = change(made.split("\n\n")[0] + "\n")
            return text + "\n" + pack.line(pack.ORIGIN, pack.LOG, pack.SEED, pack.SIGN(pack.SEED, text.encode()))

        return changed

    yield "unsigned", "the checkpoint is signed by a witness alone", *note(of_log(lambda line: ""))
    yield "no-signatures", "the checkpoint has no signatures", *note(lambda made: made.split("\n\n")[0] + "\n\n")
    yield "wrong-signature", "the signature of the log is wrong", *note(
        of_log(lambda line: flipped_signature("\n\n" + line))
    )
    yield "first-signature", "the first signature of the key of the log is wrong, and the second is right", *note(
        lambda made: made.replace("\n\n", "\n\n" + flipped_signature(made))
    )
    yield "other-text", "the checkpoint has another size than the signed one", *note(swap("\n5\n", "\n6\n"))
    yield "origin", "the origin is that of another log, and the name of the key is not", *note(
        with_text(swap(pack.ORIGIN, "other.example.com"))
    )
    yield "other-name", "the key of the log signed under another name", *note(signed_by("other.example.com", pack.SEED))
    yield "stranger", "the checkpoint is signed by another key of the same name", *note(
        signed_by(pack.ORIGIN, bytes([3]) * 32)
    )
    yield "name-case", "the name of the signature differs in case", *note(
        of_log(lambda line: line.replace("audit.", "Audit."))
    )
    yield "signature-1", "the signature has one byte", *note(of_log(lambda line: cut(line, 5)))
    yield "signature-0", "the signature has no bytes, only a key hash", *note(of_log(lambda line: cut(line, 4)))
    yield "signature-63", "the signature has 63 bytes", *note(of_log(lambda line: cut(line, 67)))
    yield "signature-65", "the signature has 65 bytes", *note(
        of_log(
            lambda line: line.rsplit(" ", 1)[0]
            + " "
            + pack.b64(pack.base64.b64decode(line.split(" ")[2]) + b"\0")
            + "\n"
        )
    )
    yield "signature-padding", "the base64 of a signature has no padding", *note(
        lambda made: made + "\u2014 other AQIDBAUGBw\n"
    )
    yield "signature-bits", "the base64 of a signature has unused bits", *note(
        lambda made: made + "\u2014 other AQIDBAV=\n"
    )
    yield "signature-space", "a name of a signature has a space", *note(
        lambda made: made + "\u2014 an other AQIDBAU=\n"
    )
    yield "signature-nbsp", "a name of a signature has U+00A0", *note(
        lambda made: made + "\u2014 an\u00a0other AQIDBAU=\n"
    )
    yield "signature-plus", "a name of a signature has a +", *note(lambda made: made + "\u2014 an+other AQIDBAU=\n")
    yield "signature-hyphen", "a signature begins with a hyphen", *note(lambda made: made + "- other AQIDBAU=\n")
    yield "signatures-101", "the checkpoint has 101 signatures", *note(
        lambda made: made + "\u2014 other AQIDBAU=\n" * 99
    )
    yield "line-feed", "the checkpoint does not end with a line feed", *note(lambda made: made[:-1])
    yield "trailing", "a line follows the signatures", *note(lambda made: made + "COMPLETE\n")
    yield "empty-line", "an empty line follows the signatures", *note(lambda made: made + "\n")
    yield "crlf", "the checkpoint has carriage returns", *note(lambda made: made.replace("\n", "\r\n"))
    yield "control", "an extension line has a control character", *note(with_text(lambda text: text + "a\tb\n"))
    yield "empty-extension", "an extension line is empty", *note(with_text(lambda text: text + "\na\n"))
    yield "leading-zero", "the size has a leading zero", *note(with_text(swap("\n5\n", "\n05\n")))
    yield "size-large", "the size is 2^63", *note(with_text(swap("\n5\n", "\n%d\n" % 2**63)))
    yield "root-31", "the root has 31 bytes", *note(
        with_text(lambda text: "\n".join([*text.split("\n")[:2], pack.b64(bytes(31)), ""]))
    )
    yield "root-missing", "the root is missing", *note(with_text(lambda text: "\n".join([*text.split("\n")[:2], ""])))
    yield "not-utf-8", "the checkpoint is not UTF-8", *note(lambda made: made + "\u2014 \udcff AQIDBAU=\n")
    yield "bom", "the checkpoint begins with a byte order mark", *note(lambda made: "\ufeff" + made)
    yield "empty", "the checkpoint is empty", *note(lambda made: "")
    yield "inclusion", "the signature of an inclusion is wrong", *note(
        of_log(lambda line: flipped_signature("\n\n" + line)), INCLUSION | {"items": filtered()}
    )


def of_head():
    def log_json(change, plan=SMALL):
        return plan, {"log": change}

    def system(leaf, **changes):
        """Changes an event of the system log. Leaf 1 records the beginning, leaf 3 the head."""
        return SMALL, {"system": lambda events: [e | changes if e["leaf"] == leaf else e for e in events]}

    def details(leaf, change):
        return SMALL, {
            "system": lambda events: [e | {"details": change(e["details"])} if e["leaf"] == leaf else e for e in events]
        }

    def line(change, name="head"):
        return log_json(lambda made: made | {name: made[name] | {"heads_event": change(made[name]["heads_event"])}})

    def with_size(size):
        root = pack.mth([pack.leaf_hash(one["event"]) for one in SMALL["items"][:size]])
        right, wrong = (pack.digest_of_head(SMALL, recorded, root) for recorded in (size, size + 1))
        return SMALL, {"system": lambda events: [e | {"details": e["details"].replace(right, wrong)} for e in events]}

    def path(change, name="head"):
        return log_json(lambda made: made | {name: made[name] | {"path": change(made[name]["path"])}})

    for leaf, name in [(3, "event"), (1, "from")]:
        yield name + "-workspace", "the heads event is of another workspace", *system(leaf, workspace="acme")
        yield name + "-category", "the heads event is of another category", *system(leaf, category="admin")
        yield name + "-action", "the heads event is of another action", *system(leaf, action="heads_imported")
        yield name + "-actor", "the heads event is of another actor", *system(leaf, actor="system:maker")
        yield name + "-digest", "the digest is not among the heads of the event", *details(
            leaf, lambda text: text.split(", ")[0] + "]}"
        )
    yield "actor-null", "the heads event has no actor", *system(3, actor=None)
    yield "heads-text", "the heads of the event are a string", *details(
        3, lambda text: '{"heads": %s}' % text.split('", ')[1][:-2]
    )
    yield "heads-nested", "the heads of the event stand in an inner array", *details(
        3, lambda text: text.replace("[", "[[").replace("]", "]]")
    )
    yield "heads-other-key", "the heads stand under another key", *details(
        3, lambda text: text.replace("heads", "Heads")
    )
    yield "heads-inner", "the heads stand in an inner object", *details(3, lambda text: '{"a": %s}' % text)
    of_head = system_events()[3]
    for name, about, hidden in [
        ("withheld-actor", "the actor of the heads event is withheld", pack.withheld_line(of_head, ["actor"])),
        ("withheld-details", "the details of the heads event are withheld", pack.withheld_line(of_head, ["details"])),
        ("stub", "the heads event is a stub", stub_line(of_head)),
    ]:
        yield name, about, *log_json(put("head", "heads_event", value=hidden))
    yield "line", "the heads event is no valid line", *line(swap('"v":1', '"v": 1'))
    yield "line-feed", "the heads event ends with a line feed", *line(lambda text: text + "\n")
    yield "leaf-null", "the heads event has no leaf", *line(swap('"leaf":3', '"leaf":null'))
    yield "leaf-other", "the heads event has another leaf", *line(swap('"leaf":3', '"leaf":2'))
    yield "leaf-above", "the leaf of the heads event is not below the size of the checkpoint", *line(
        swap('"leaf":3', '"leaf":5')
    )
    yield "changed", "the heads event was changed, and is not in the signed log", *line(swap('"id":5003', '"id":5004'))
    yield "path-short", "the path lacks a hash", *path(lambda hashes: hashes[:-1])
    yield "path-long", "the path has a hash more", *path(lambda hashes: [*hashes, pack.b64(bytes(32))])
    yield "path-changed", "a hash of the path was changed", *path(lambda hashes: [flipped(hashes[0]), *hashes[1:]])
    yield "path-order", "the hashes of the path stand in another order", *path(lambda hashes: hashes[::-1])
    yield "from-path", "a hash of the path of the beginning was changed", *path(
        lambda hashes: [flipped(hashes[0]), *hashes[1:]], "from"
    )
    yield "from-line", "the heads event of the beginning was changed", *line(swap('"id":5001', '"id":5000'), "from")
    yield "size", "the heads event records the root of the head with another size", *with_size(18)
    yield "from-size", "the heads event records the root of the beginning with another size", *with_size(9)
    yield "log-id", "the log id is another", *log_json(put("log_id", value=pack.b64(bytes(16))))
    yield "inclusion-path", "a hash of the path of an inclusion was changed", *log_json(
        lambda made: made
        | {"head": made["head"] | {"path": [flipped(made["head"]["path"][0]), *made["head"]["path"][1:]]}},
        INCLUSION | {"items": filtered()},
    )
    yield "from-late", "the event of the beginning occurred at the beginning of the period", SMALL | {
        "from_at": day(10)
    }, {}
    yield "from-later", "the event of the beginning occurred in the period", SMALL | {
        "from": 12,
        "from_at": noon(3, 12),
    }, {}
    yield "early", "the event of the head occurred before the period", WHOLE | {"size": 8, "size_at": noon(3, 8)}, {}
    yield "at-since", "the event of the head occurred at the beginning of the period", WHOLE | {
        "size": 9,
        "size_at": day(10),
    }, {}
    yield "system-early", "the last event of the system log was recorded at the beginning of the period", SYSTEM | {
        "items": SYSTEM["items"][:10]
    }, {}
    yield "system-empty", "the system log has no leaves", SYSTEM | {"items": []}, {}
    yield "system-removed", "all events of the system log were removed", SYSTEM | {
        "items": [one | {"form": "removed"} for one in SYSTEM["items"]]
    }, {}


def of_leaf():
    def more(*items):
        return {"shown": lambda shown: [*shown, *items]}

    yield "null", "an event has no leaf", WHOLE, in_event(10, leaf=None)
    yield "null-stub", "a stub has no leaf", WHOLE, in_event(11, leaf=None)
    yield "null-inclusion", "an event of an inclusion has no leaf", INCLUSION | {"items": filtered()}, in_event(
        10, leaf=None
    )
    late = SMALL | {"items": [*log(18), imported(18), imported(19)]}
    yield "above", "a leaf lies at the size of the head", late, more(late["items"][18] | {"form": "event"})
    yield "above-inclusion", "a leaf of an inclusion lies at the size of the head", INCLUSION | {
        "items": [*filtered(log(18)), imported(18)]
    }, {}
    yield "large", "a leaf is 2^63 - 1", WHOLE, in_event(11, leaf=MAX)
    yield "below", "a leaf lies before the range", SMALL, more(log(20)[8] | {"form": "stub"})
    yield "missing", "a leaf of the range is missing", WHOLE, without(15)
    yield "missing-first", "the first leaf of the log is missing", WHOLE, without(0)
    yield "missing-last", "the last leaf of the range is missing", WHOLE, without(17)
    yield "missing-event", "an event of the period is missing", WHOLE, without(10)
    yield "missing-range", "all leaves of the range are missing", WHOLE, {"shown": lambda shown: []}
    yield "twice", "a removed leaf is that of a stub", WHOLE, more(log(20)[15] | {"form": "removed"})
    yield "twice-stub", "two stubs have the same leaf", WHOLE, more(log(20)[15] | {"form": "stub"})
    yield "twice-for-missing", "a leaf occurs twice, and another one is missing", WHOLE, {
        "shown": lambda shown: [one if one["event"]["leaf"] != 16 else log(20)[15] | {"form": "stub"} for one in shown]
    }


def of_stub():
    yield "hidden", "an event that the pack selects is a stub", SMALL, in_item(10, form="stub")
    yield "hidden-tagged", "an event that the pack selects by a tag is a stub", SMALL | {"definition": TAGGED}, in_item(
        10, form="stub"
    )
    yield "hidden-first", "an event that occurred at the beginning of the period is a stub", SMALL, in_item(
        9, form="stub"
    )
    yield "hidden-all", "every event that the pack selects is a stub", SMALL, {
        "leaves": lambda items: [one | {"form": "stub"} for one in items]
    }
    yield "hidden-everything", "the pack selects every event, and has a stub of the period", SMALL | {
        "definition": EVERYTHING
    }, in_item(11, form="stub")
    yield "imported", "an event that was recorded after the period, and occurred in it, is a stub", SMALL | {
        "items": replaced(16, imported(16, form="stub"))
    }, {}
    yield "in-removals", "an event that the pack selects stands in removals.json", SMALL, in_item(10, form="removal")
    record = {
        "since": noon(6, 1),
        "until": noon(7, 3),
        "definition": LOGINS | {"include": [{"actions": ["events_removed"]}]},
    }
    yield "removal", "the record of a removal that the pack selects stands in removals.json", REMOVALS | record, {}


def of_root():
    yield "details", "the details of an event were changed", SMALL, in_event(10, details='{"n": 11}')
    yield "spacing", "the spacing of the details of an event was changed", SMALL, in_event(10, details='{"n":10}')
    yield "actor", "the actor of an event was changed", SMALL, in_event(10, actor="user:9")
    yield "actor-null", "the actor of an event was removed", SMALL, in_event(10, actor=None)
    yield "outcome", "the outcome of an event was changed", SMALL, in_event(12, outcome="success")
    yield "time", "the time of an event was changed", SMALL, in_event(10, occurred_at=day(11) + 1)
    yield "id", "the id of an event was changed", SMALL, in_event(10, id=1)
    yield "salt", "the salt of an event was changed", SMALL, in_event(10, salt="00" * 16)
    yield "withheld", "the digest of a withheld field was changed", SMALL | {
        "items": replaced(10, log(20)[10] | {"withheld": ["details"]})
    }, in_event(10, details='{"n": 11}')
    yield "stub", "the action of a stub was changed", SMALL | {
        "items": replaced(11, item(11, day(12), "login_failed", "auth", "stub"))
    }, in_event(11, action="ticket_created")
    yield "stub-time", "a stub was moved out of the period", SMALL | {
        "items": replaced(10, item(10, day(11), "login_failed", "auth", "stub"))
    }, in_event(10, occurred_at=day(16))
    yield "removed", "the hash of a removed leaf was changed", REMOVALS, in_event(10, id=1)
    yield "removal", "the record of a removal was changed", with_removals(removal(17, [(10, 11)])), in_event(
        17, details=REMOVALS["items"][17]["event"]["details"]
    )
    yield "inclusion", "an event of an inclusion was changed", INCLUSION | {"items": filtered()}, in_event(10, id=1)

    def exchanged(items):
        leaves = {15: 16, 16: 15}
        return [
            one | {"event": one["event"] | {"leaf": leaves.get(one["event"]["leaf"], one["event"]["leaf"])}}
            for one in items
        ]

    yield "exchanged", "two stubs have each other's leaf", SMALL, {"shown": exchanged}
    for name, about, plan, change in [
        ("short", "the proof lacks a hash", SMALL, lambda hashes: hashes[:-1]),
        ("long", "the proof has a hash more", SMALL, lambda hashes: [*hashes, pack.b64(bytes(32))]),
        ("long-whole", "the proof of a whole log has a hash", WHOLE, lambda hashes: [pack.b64(bytes(32))]),
        ("changed", "a hash of the proof was changed", SMALL, lambda hashes: [flipped(hashes[0]), *hashes[1:]]),
        ("reversed", "the hashes of the proof stand in another order", SMALL, lambda hashes: hashes[::-1]),
        (
            "inclusion-short",
            "the proof of an inclusion lacks a hash",
            INCLUSION | {"items": filtered()},
            lambda hashes: hashes[:-1],
        ),
        (
            "inclusion-empty",
            "the proof of an inclusion without events has no hash",
            INCLUSION | {"items": filtered(shown=())},
            lambda hashes: [],
        ),
    ]:
        yield "hashes-" + name, about, plan, {
            "log": lambda made, change=change: made | {"hashes": change(made["hashes"])}
        }

    def forked(name, size):
        """Records a root of another tree at this size."""
        digest, other = [
            pack.digest_of_head(SMALL, size, root)
            for root in (pack.mth([pack.leaf_hash(one["event"]) for one in SMALL["items"][:size]]), bytes(32))
        ]
        return SMALL, {
            "system": lambda events: [e | {"details": e["details"].replace(digest, other)} for e in events],
            "log": lambda made: made | {name: made[name] | {"root": pack.b64(bytes(32))}},
        }

    yield "fork-head", "the recorded head has the root of another log", *forked("head", 18)
    yield "fork-from", "the recorded beginning has the root of another log", *forked("from", 9)
    empty = SMALL | {"from": 0, "from_at": day(1)}
    digest, other = [pack.digest_of_head(empty, 0, root) for root in (pack.mth([]), bytes(32))]
    yield "fork-from-0", "the recorded beginning of size 0 has a root that no log of size 0 has", empty, {
        "system": lambda events: [e | {"details": e["details"].replace(digest, other)} for e in events],
        "log": lambda made: made | {"from": made["from"] | {"root": pack.b64(bytes(32))}},
    }
    yield "system-log", "an event of the system log was changed", SYSTEM, in_event(10, id=1)


def of_prefixes():
    for name, about, change in [
        ("changed", "has another byte", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("short", "lacks a byte", lambda data: data[:-1]),
        ("long", "has a byte more", lambda data: data + b"\0"),
        (
            "order",
            "has the beginnings in another order",
            lambda data: b"".join(data[at : at + 4] for at in range(0, len(data), 4)[::-1]),
        ),
        ("empty", "is empty", lambda data: b""),
        ("whole", "holds whole hashes", lambda data: data * 8),
    ]:
        yield name, "prefixes.bin " + about, SMALL, {"prefixes": change}
