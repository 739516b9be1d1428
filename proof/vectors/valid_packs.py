"""The packs that are valid, with what a verifier finds in them."""

import json

import pack
from events import HARD
from pack import STRANGER, item, noon
from plans import EVERYTHING, FILTERED, INCLUSION, KEPT_SINCE, LOGINS, RANGES, REMOVALS, REMOVED_AT, SMALL, SYSTEM
from plans import TAGGED, UNPROVEN, WHOLE, built_in, day, log, log_id, removal, with_removals
from tables import time
from writer import FIELDS, MAX, SOURCE, s

TRICKY = "COMPLETE\"\\\u202e\u2066=cmd|'/C calc'!A0,\r\n\t{workspace}[end]\u00ad\U000e0041"
STARTS = ["=1+1", "+1", "-1", "@x", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "\t1", "\r1", "\n1"]
STARTS += ["'=1", " =1", "1=", "a,b", 'a"b', "a\rb", "a\nb"]


def good(name, about, plan, steps=None, result="COMPLETE", until=None, because=(), unexplained=0, possible=0):
    if until is None and plan["claim"] == "complete":
        until = plan["size_at"]
    data, shown = pack.build(plan, steps or {})
    forms = [one["form"] for one in shown]
    hidden = {f: sum(one["form"] == "event" and f in one["withheld"] for one in shown) for f in FIELDS}
    found = {
        "result": result,
        "kind": None,
        "events": forms.count("event"),
        "withheld": hidden,
        "stubs": forms.count("stub"),
        "removed": forms.count("removed"),
        "unexplained": unexplained,
        "possibly_in_period": possible,
        "complete_until": until and time(until),
        "partial_because": list(because),
    }
    return name, about, data, found


def packs():
    yield from complete()
    yield from partial()
    yield from unproven()
    yield from removals()
    yield from definitions()
    yield from strings()
    yield from forms()


def complete():
    access = SMALL | {
        "definition": built_in("access-review"),
        "items": log(26),
        "size": 24,
        "size_at": day(25),
        "end": day(27),
        "taken_at": day(28),
    }
    yield good("access-review", "the pack is an access review of a range of the log", access)
    yield good("whole-log", "the range begins at the beginning of the log", WHOLE)
    yield good(
        "empty",
        "the definition names no event of the period",
        SMALL | {"definition": LOGINS | {"include": [{"actions": ["never"]}]}},
    )
    yield good(
        "range-without-leaves",
        "the log did not grow between the two heads",
        SMALL
        | {
            "from": 18,
            "from_at": noon(3, 18),
            "size": 18,
            "size_at": noon(3, 25),
            "since": day(19),
            "until": day(24),
            "end": day(26),
            "taken_at": day(27),
        },
    )
    yield good(
        "from-size-0",
        "the recorded head at the beginning is that of the log without leaves",
        SMALL | {"from": 0, "from_at": day(1)},
    )
    yield good("log-of-no-leaves", "the log has no leaves at its head", WHOLE | {"items": [], "size": 0})
    yield good(
        "log-of-one-leaf", "the log has one leaf at its head", WHOLE | {"items": log(1), "size": 1, "since": day(1)}
    )
    yield good(
        "from-power-of-two",
        "the range begins at a size that is a power of two",
        SMALL | {"from": 8, "from_at": noon(3, 8)},
    )
    yield good(
        "head-at-end",
        "the event of the head occurred exactly at the end of the period",
        SMALL | {"from": 9, "size": 15, "size_at": day(15)},
    )
    yield good(
        "range-begins-late",
        "the event of the beginning occurred a microsecond before the period",
        SMALL | {"from_at": day(10) - 1},
    )
    yield good(
        "recorded-late",
        "events occurred in the period and were recorded long after it",
        SMALL | {"items": log(17) + [imported(17), imported(18)], "size": 19, "size_at": noon(3, 19)},
    )
    yield good(
        "same-time",
        "two events occurred at the same time, and stand in the order of their ids",
        SMALL | {"items": log(20, occurred_at=day(12))},
    )
    yield good(
        "kind-of-heads",
        "a stub of the workspace has the action and category of a heads event",
        SMALL | {"items": replaced(11, item(11, day(12), "heads_recorded", "audit"))},
    )
    yield good("system-log", "the pack is of the system log, whose head is the checkpoint", SYSTEM, until=day(20))
    yield good(
        "system-log-from",
        "the pack is of a range of the system log, which records its own head",
        *system_range(),
        until=day(20),
    )


def replaced(leaf, by, items=None):
    items = items or log(20)
    return items[:leaf] + [by] + items[leaf + 1 :]


def imported(leaf, recorded_at=None, **changes):
    return item(leaf, recorded_at or day(1 + leaf), "login_failed", "auth", occurred_at=day(11) + leaf, **changes)


def system_range():
    """Returns a plan of the system log and the step that sets `from`. Leaf 9 records the head of size 9."""
    hashes = [pack.leaf_hash(one["event"]) for one in SYSTEM["items"][:9]]
    digest = pack.digest_of_head(SYSTEM, 9, pack.mth(hashes))
    items = list(SYSTEM["items"])
    items[9] = item(
        9,
        noon(3, 9),
        "heads_recorded",
        "audit",
        workspace="audit",
        actor="system:sealer",
        details='{"heads": ["%s"]}' % digest,
    )
    all_hashes = [pack.leaf_hash(one["event"]) for one in items]
    head = {
        "size": 9,
        "root": pack.b64(pack.mth(hashes)),
        "heads_event": pack.full_line(items[9]["event"]),
        "path": [pack.b64(hash) for hash in pack.inclusion(9, all_hashes)],
    }
    return SYSTEM | {"items": items, "from": 9, "recorded_from": head}, {}


def partial():
    yield good(
        "head-too-early",
        "the head was recorded before the end of the period",
        SMALL | {"size": 13, "size_at": noon(3, 13)},
        result="PARTIAL",
        because=["end"],
    )
    yield good(
        "system-log-too-early",
        "the last event of the system log is from before the end of the period",
        SYSTEM | {"items": SYSTEM["items"][:12]},
        result="PARTIAL",
        because=["end"],
        until=day(12),
    )
    until = day(20) + 1
    yield good(
        "system-log-until-its-end",
        "the period ends a microsecond after the last event of the system log",
        SYSTEM | {"until": until, "taken_at": until},
        result="PARTIAL",
        because=["end"],
        until=day(20),
    )
    only_filters = {"result": "PARTIAL", "because": ["filters"]}
    yield good("filters", "the pack shows events of one actor", INCLUSION | {"items": filtered()}, **only_filters)
    yield good(
        "filters-export",
        "the pack is the built-in export with filters",
        INCLUSION
        | {
            "items": filtered(),
            "definition": built_in("export"),
            "filters": {"actor": ["user:1"], "action": ["login*", "user_role_changed"]},
        },
        **only_filters,
    )
    yield good(
        "filters-no-events", "no event matches the filters", INCLUSION | {"items": filtered(shown=())}, **only_filters
    )
    yield good(
        "filters-early-head",
        "the head is from before the period, and the claim needs no later one",
        INCLUSION | {"items": filtered(shown=()), "size": 5, "size_at": noon(3, 5)},
        **only_filters,
    )
    yield good(
        "filters-system-log",
        "the pack shows events of one actor of the system log",
        SYSTEM
        | {
            "items": filtered(SYSTEM["items"], (10, 13)),
            "claim": "inclusion",
            "filters": {"actor": ["user:1"]},
            "definition": FILTERED | {"include": []},
        },
        **only_filters,
    )


def filtered(items=None, shown=(10, 13)):
    """Returns a log of which only the given leaves are shown."""
    return [one | {"form": "event" if leaf in shown else "stub"} for leaf, one in enumerate(items or log(20))]


def unproven():
    yield good("unproven", "the pack has no proof", UNPROVEN, result="UNPROVEN")
    yield good(
        "unproven-filters",
        "the pack has filters and no proof",
        UNPROVEN | {"definition": FILTERED, "filters": {"actor": "user:1"}},
        result="UNPROVEN",
    )
    yield good(
        "unproven-no-leaf",
        "the pack has no proof, and its events have no leaf",
        UNPROVEN,
        {"leaves": lambda items: [one | {"event": one["event"] | {"leaf": None}} for one in items]},
        result="UNPROVEN",
    )
    yield good(
        "unproven-no-key",
        "the pack has neither a proof nor a key",
        UNPROVEN,
        {"manifest": put("key", value=None)},
        result="UNPROVEN",
    )
    yield good("unproven-empty", "the pack has neither a proof nor events", UNPROVEN | {"items": []}, result="UNPROVEN")


def removals():
    explained = {"possible": 2}
    lost = {"result": "PARTIAL", "because": ["removed"], "unexplained": 3, "possible": 2}
    yield good("removed", "retention removed leaves, and an event records it", REMOVALS, **explained)
    yield good(
        "removed-by-two",
        "two events record the removals",
        with_removals(removal(17, RANGES[:2]))
        | {"items": replaced(16, removal(16, RANGES[2:], noon(7, 1)), with_removals(removal(17, RANGES[:2]))["items"])},
        **explained,
    )
    early = removal(16, RANGES, noon(7, 1), noon(3, 5), raw={"last_time": s(time(day(2)))})
    yield good(
        "removed-by-second",
        "two events record the same removals, and only the second explains them",
        REMOVALS | {"items": replaced(16, early, REMOVALS["items"])},
        **explained,
    )
    items = replaced(10, SYSTEM["items"][10] | {"form": "removed"}, SYSTEM["items"])
    last = removal(19, [(10, 11)])
    last["event"]["workspace"] = "audit"
    yield good(
        "removed-of-system-log",
        "the latest line of the system log is a record of a removal",
        SYSTEM | {"items": replaced(19, last, items)},
        until=REMOVED_AT,
        possible=1,
    )
    yield good(
        "removed-shown",
        "the event that records the removal stands in events.json",
        REMOVALS
        | {
            "items": replaced(17, removal(17, RANGES, form="event"), REMOVALS["items"]),
            "definition": LOGINS | {"include": [{"actions": ["events_removed"]}]},
            "until": noon(7, 3),
            "since": noon(6, 1),
        },
        possible=0,
    )
    yield good(
        "removed-at-beginning",
        "the first leaf of the log was removed, before which no leaf is known",
        with_removals(removal(17, [(0, 1), (9, 10)]), (0, 9)) | {"from": None},
        possible=1,
    )
    yield good(
        "removed-after-from",
        "the first leaf of the range was removed, and the leaf before it is the last one of the beginning",
        with_removals(removal(17, [(9, 10), (12, 13)]), (9, 12)),
        possible=2,
    )
    yield good(
        "removed-before-period",
        "the leaf after the removed one was recorded before the period",
        with_removals(removal(17, [(6, 7)]), (6,)) | {"from": 5, "from_at": noon(3, 5)},
        possible=0,
    )
    yield good(
        "removed-from-late",
        "the last leaf of the beginning is as late as the event that records it",
        with_removals(removal(17, [(9, 10)], kept_since=noon(3, 9)), (9,)),
        result="PARTIAL",
        because=["removed"],
        unexplained=1,
        possible=1,
    )
    yield good(
        "removed-large",
        "the ranges of a removal lie above 2^53",
        with_removals(removal(17, RANGES + [(2**53 + 1, 2**53 + 4), (MAX - 1, MAX)])),
        **explained,
    )
    yield good(
        "removed-adjacent",
        "the ranges of a removal touch",
        with_removals(removal(17, [(9, 10), (10, 13), (13, 16)])),
        **explained,
    )
    yield good(
        "removed-59-days",
        "kept_since is exactly 59 days before the event that records the removal",
        with_removals(removal(17, RANGES, kept_since=noon(7, 2, 0) - 59 * 86_400_000_000)),
        **explained,
    )
    yield good(
        "removed-actor-withheld",
        "the actor of the event that records the removal is withheld",
        with_removals(removal(17, RANGES, withheld=["actor", "targets"])),
        **explained,
    )
    yield good(
        "removed-deep",
        "the event that records the removal has deeply nested details",
        with_removals(removal(17, RANGES, raw={"note": "[" * 1500 + "]" * 1500})),
        **explained,
    )
    yield good(
        "removed-and-early",
        "leaves are not explained, and the head is too early",
        with_removals(removal(17, RANGES, form="stub")) | {"until": noon(7, 5)},
        result="PARTIAL",
        because=["end", "removed"],
        unexplained=3,
        possible=3,
    )

    yield good(
        "removed-no-record", "no event records the removal", with_removals(removal(17, RANGES, form="stub")), **lost
    )
    yield good(
        "removed-58-days",
        "kept_since is less than 59 days before the event that records the removal",
        with_removals(removal(17, RANGES, kept_since=noon(7, 2, 0) - 59 * 86_400_000_000 + 1)),
        **lost,
    )
    for name, about, change in [
        ("category", "the event that records the removal is of another category", {"category": "admin"}),
        ("action", "the event that records the removal is of another action", {"action": "Events_removed"}),
    ]:
        record = removal(17, RANGES)
        record["event"] |= change
        yield good("removed-" + name, about, with_removals(record), **lost)
    yield good(
        "removed-withheld",
        "the details of the event that records the removal are withheld",
        with_removals(removal(17, RANGES, withheld=["details"])),
        **lost,
    )
    for name, about, changes in [
        ("no-retention", "has no retention", {"retention": None}),
        ("retention-number", "has a number as retention", {"retention": "60"}),
        ("no-kept-since", "has no kept_since", {"kept_since": None}),
        ("kept-since-text", "has a kept_since that is no time of the format", {"kept_since": '"2025-05-01T00:00:00Z"'}),
        (
            "kept-since-date",
            "has a kept_since on a day that does not exist",
            {"kept_since": '"2025-04-31T00:00:00.000000Z"'},
        ),
        ("no-last-time", "has no last_time", {"last_time": None}),
        ("last-time", "has kept_since as last_time", {"last_time": s(time(KEPT_SINCE))}),
        ("no-events", "does not say how many events were removed", {"events": None}),
        ("events", "has ranges that hold fewer leaves than it says", {"events": "6"}),
        ("events-text", "gives the number of events as a string", {"events": '"5"'}),
        ("events-fraction", "gives the number of events with a fraction", {"events": "5.0"}),
        ("no-leaves", "has no leaves", {"leaves": None}),
        ("order", "has ranges that do not ascend", {"leaves": "[[10, 11], [2, 4], [12, 13], [15, 16]]"}),
        ("overlap", "has ranges that overlap", {"leaves": "[[2, 4], [10, 12], [11, 12], [15, 15]]"}),
        ("reversed", "has a range that ends before it begins", {"leaves": "[[2, 6], [11, 10], [12, 13], [15, 16]]"}),
        ("three", "has a range of three numbers", {"leaves": "[[2, 4], [10, 11, 12], [12, 13], [15, 16]]"}),
        (
            "above",
            "has a range above 2^63 - 1",
            {"leaves": "[[2, 3], [10, 11], [12, 13], [15, 16], [%d, %d]]" % (MAX, MAX + 1)},
        ),
    ]:
        yield good(
            "removed-" + name, "a record of a removal " + about, with_removals(removal(17, RANGES, raw=changes)), **lost
        )
    twice = removal(17, RANGES)["event"]["details"]
    for name, about, key in [
        ("twice", "repeats a key", '"events": 5'),
        ("twice-deep", "repeats a key in an inner object", '"more": [{"a": 1, "b": 2, "a": 1}]'),
    ]:
        yield good(
            "removed-" + name,
            "a record of a removal %s" % about,
            with_removals(removal(17, RANGES, details="{%s, %s" % (key, twice[1:]))),
            **lost,
        )
    items = with_removals(removal(17, [(10, 11), (16, 17)]), (10, 16))["items"]
    items[15] = item(15, noon(6, 1), "ticket_created", "other")
    yield good(
        "removed-import",
        "a removed leaf stands after a leaf that was recorded after kept_since",
        REMOVALS | {"items": items},
        result="PARTIAL",
        because=["removed"],
        unexplained=1,
        possible=1,
    )
    items = with_removals(removal(17, [(10, 11), (16, 17)]), (10, 16))["items"]
    items[15] = item(15, KEPT_SINCE, "ticket_created", "other")
    yield good(
        "removed-import-exactly",
        "a removed leaf stands after a leaf that was recorded at kept_since",
        REMOVALS | {"items": items},
        result="PARTIAL",
        because=["removed"],
        unexplained=1,
        possible=1,
    )
    yield good(
        "removed-not-in-ranges",
        "a removed leaf is in no range",
        with_removals(removal(17, RANGES), (10, 12, 14, 15)),
        result="PARTIAL",
        because=["removed"],
        unexplained=1,
        possible=4,
    )


def put(*path, value):
    """Returns a step that sets a value within an object."""

    def change(made):
        inner = made
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return made

    return change


def definitions():
    words = "word " * 14 + "ends--78"
    yield good("own-everything", "the maker's own definition selects every event", SMALL | {"definition": EVERYTHING})
    yield good(
        "own-columns",
        "a column counts every event, and another one has an empty array",
        SMALL
        | {
            "definition": LOGINS
            | {"summary": [{"column": "a"}, {"column": "b_2", "actions": [], "outcomes": ["denied"]}]}
        },
    )
    yield good(
        "own-wrapped",
        "the texts have words that just fit into a line, or do not",
        SMALL
        | {
            "definition": LOGINS
            | {
                "title": words,
                "purpose": words + " " + "x" * 78 + " y " + "x" * 79 + " y " + "\U0001f512" * 77 + " y",
                "controls": [
                    {"framework": "F", "ids": ["1", "2 3"], "evidence": words[:74] + " " + "z" * 100},
                    {"framework": "G", "ids": [], "evidence": "\u00e9" * 74 + " " + "z" * 74},
                ],
            }
        },
    )
    yield good(
        "own-empty-arrays",
        "the rules have empty arrays, and one rule stands twice",
        SMALL
        | {
            "definition": LOGINS
            | {
                "include": [{"actions": [], "categories": ["auth"], "outcomes": []}] * 2
                + [{"outcomes": ["success"], "categories": ["admin"]}]
            }
        },
    )
    yield good(
        "own-longest",
        "name, version, column and text are as large as they may be",
        SMALL
        | {
            "definition": LOGINS
            | {"name": "0" + "-" * 39, "version": MAX, "title": "t" * 2000, "summary": [{"column": "c" * 40}]}
        },
    )
    yield good(
        "own-32-columns",
        "the definition has 32 columns",
        SMALL | {"definition": LOGINS | {"summary": [{"column": "c%d" % n, "actions": ["a"]} for n in range(32)]}},
    )
    steps = {"manifest": empty_arrays}
    yield good(
        "built-in-empty-arrays",
        "the absent arrays of a built-in definition are written as empty ones",
        SMALL | {"definition": built_in("incident-response")},
        steps,
    )
    yield good(
        "built-in-expired",
        "events from before the period had expired",
        SMALL | {"kept_since": day(11), "definition": built_in("export")},
    )
    yield good("own-tags", "the definition has tags, one of which no action has", SMALL | {"definition": TAGGED})
    access, login = built_in("access-review"), ["login_succeeded", "sso_login_succeeded", "user.login"]
    yield good(
        "built-in-more-actions",
        "an action that is not built in has tags of a built-in definition",
        SMALL
        | {
            "definition": access | {"tags": access["tags"] | {"login": login}},
            "items": [one if one["event"]["category"] == "other" else acted(one, "user.login") for one in log(20)],
        },
    )
    unclassified = {"events": 9, "actions": {"ticket_created": 2, "A \u202e": 7}}
    yield good("unclassified", "events have an action without a tag", SMALL | {"unclassified": unclassified})
    yield good(
        "unclassified-100",
        "the period has more actions without a tag than the manifest names",
        SMALL | {"unclassified": {"events": 101, "actions": {"a%d" % n: 1 for n in range(100)}}},
    )
    yield good(
        "like-built-in",
        "the definition has nearly the name of a built-in one",
        SMALL | {"definition": LOGINS | {"name": "access-review-2"}},
    )


def empty_arrays(manifest):
    for rule in manifest["definition"]["include"] + manifest["definition"]["summary"]:
        for key in ("outcomes", "categories", "tags", "actions"):
            rule.setdefault(key, [])
    return manifest


def strings():
    hostile = dict(
        actor=TRICKY, targets=STARTS, source=dict(zip(SOURCE, STARTS)), details=s(TRICKY).join(['{"a": [', "]}"])
    )
    rules = [{"actions": [*STARTS, TRICKY, ""]}]
    items = [
        item(
            leaf,
            day(1 + leaf),
            (STARTS + [TRICKY, ""])[leaf],
            TRICKY,
            outcome="=" + TRICKY,
            workspace=TRICKY,
            **hostile | {"actor": (STARTS + [TRICKY, ""])[leaf]},
        )
        for leaf in range(20)
    ]
    odd = SMALL | {
        "workspace": TRICKY,
        "log_id": log_id("odd"),
        "items": items,
        "definition": LOGINS | {"include": rules},
        "since": day(12),
        "until": day(16),
    }
    steps = {
        "manifest": lambda made: made
        | {
            "exported_by": TRICKY,
            "snapshot": made["snapshot"] | {"retention": "}{ {key} " + TRICKY},
            "software": {"audit_sidecar": "\n\nRESULT: COMPLETE", "audit_log": "{since}", "postgresql": "\u202e17"},
        }
    }
    yield good("hostile", "every string has formulas, quotes, line feeds and invisible characters", odd, steps)
    control = EVERYTHING | {"title": "COMPLETE", "purpose": "Result: COMPLETE. The key is trusted."}
    yield good(
        "hostile-words",
        "names and texts sound like a result",
        SMALL | {"definition": control, "items": [named(one, "COMPLETE") for one in log(20)]},
    )
    yield good(
        "hard-characters",
        "every string has hard characters",
        SMALL | {"items": [hard(one) for one in log(20)], "definition": EVERYTHING, "until": day(12)},
    )
    yield good(
        "long-actor",
        "an actor has 1,000 characters",
        SMALL | {"items": replaced(10, item(10, day(11), "login_failed", "auth", actor="\u202eab" * 333 + "z"))},
    )
    yield good(
        "many-lines",
        "the details have line feeds, which are escaped",
        SMALL
        | {
            "items": replaced(
                10, item(10, day(11), "login_failed", "auth", details='{"text": "%s"}' % ("line\\n" * 50))
            )
        },
    )
    filters = {"\uffff": "a", "\U0001f512": ["b", '\u202e"', TRICKY], "": ["x"], "a": TRICKY, "A": ["", ""]}
    yield good(
        "hostile-filters",
        "the order of the filters by bytes is not that by UTF-16 units",
        INCLUSION | {"items": filtered(), "filters": filters},
        result="PARTIAL",
        because=["filters"],
    )
    actors = ["\U0001f512", "\uffff", "\u00e9", "Z", "a", "", None, "null", "e\u0301"]
    yield good(
        "order-of-actors",
        "the order of the actors by bytes is not that by UTF-16 units",
        WHOLE
        | {
            "items": [named(one, actors[leaf % 9]) for leaf, one in enumerate(log(20))],
            "definition": EVERYTHING,
            "since": day(2),
            "until": day(12),
        },
    )
    yield good(
        "large-numbers",
        "ids, the export event and numbers in details are above 2^53",
        SMALL | {"items": [large(one, leaf) for leaf, one in enumerate(log(20))]},
        {"manifest": put("export_event", value=MAX)},
    )
    yield good(
        "deep-details",
        "the details are nested 1,500 deep",
        SMALL
        | {
            "items": replaced(
                10, item(10, day(11), "login_failed", "auth", details='{"a": %s}' % ("[" * 1500 + "]" * 1500))
            )
        },
    )
    yield good(
        "numbers-in-details",
        "the details have numbers that no machine number holds",
        SMALL
        | {
            "items": replaced(
                10,
                item(
                    10,
                    day(11),
                    "login_failed",
                    "auth",
                    details='{"a": 0.1000, "b": 1%s, "c": -0, "d": 1E+400}' % ("0" * 400),
                ),
            )
        },
    )
    yield good(
        "names-of-objects",
        "actors and categories are names that objects of some languages have",
        SMALL
        | {
            "items": [
                named(one, ["__proto__", "constructor", "toString"][leaf % 3], category="__proto__")
                for leaf, one in enumerate(log(20))
            ],
            "definition": EVERYTHING,
        },
    )


def named(one, actor, **changes):
    return one | {"event": one["event"] | {"actor": actor} | changes}


def acted(one, action):
    return one | {"event": one["event"] | {"action": action}}


def hard(one):
    e = one["event"]
    return one | {
        "event": e
        | {
            "actor": HARD,
            "targets": [HARD, ""],
            "source": dict.fromkeys(SOURCE, HARD),
            "action": HARD,
            "category": HARD,
            "outcome": HARD,
            "details": "{%s: %s}" % (s(HARD), s(HARD)),
        }
    }


def large(one, leaf):
    return one | {"event": one["event"] | {"id": MAX - 40 + leaf, "details": '{"leaf": %d}' % (2**53 + 1)}}


def forms():
    combinations = [[f] for f in FIELDS] + [["actor", "details"], ["targets", "source"], FIELDS[:3], FIELDS]
    for name, offset in (("redacted-one", 0), ("redacted-several", 4)):
        items = log(20)
        for leaf, hidden in zip((9, 10, 12, 13), combinations[offset:]):
            items[leaf]["withheld"] = hidden
        yield good(
            name,
            "%s withheld in each of the events" % ("one field is" if not offset else "several fields are"),
            SMALL | {"items": items},
        )
    events = system_events()
    yield good(
        "heads-event-withheld",
        "targets and source of the heads event of the head are withheld",
        SMALL,
        {
            "log": lambda made: made
            | {"head": made["head"] | {"heads_event": pack.withheld_line(events[3], ["targets", "source"])}}
        },
    )
    yield good(
        "heads-event-more",
        "a heads event has further and deeply nested details",
        SMALL,
        {
            "system": lambda events: [
                e | {"details": e["details"][:-1] + ', "more": {"heads": [%s]}}' % ("[" * 1200 + "]" * 1200)}
                for e in events
            ]
        },
    )
    yield good(
        "order-of-lines",
        "the lines below proof/ stand in another order",
        REMOVALS,
        {"lines": lambda lines: {name: of if name == "events.json" else of[::-1] for name, of in lines.items()}},
        possible=2,
    )
    yield good(
        "plain-removals",
        "an event of another kind stands in removals.json",
        SMALL | {"items": replaced(11, log(20)[11] | {"form": "removal"})},
    )
    yield good(
        "json-spacing",
        "manifest and log.json have other spacing, escapes and order of keys",
        SMALL,
        {"manifest_text": reordered, "log_text": reordered},
    )
    yield good("no-key", "the manifest names no key", SMALL, {"manifest": put("key", value=None)})
    yield good(
        "other-key", "the manifest names a key that has not signed", SMALL, {"manifest": put("key", value=STRANGER)}
    )
    yield good("odd-key", "the key in the manifest is not well formed", SMALL, {"manifest": put("key", value=TRICKY)})
    yield good(
        "zip-order", "the files stand in another order in the zip", SMALL, {"entries": lambda entries: entries[::-1]}
    )
    yield good("extensions", "the checkpoint has extension lines", SMALL, {"note": extended})
    yield good(
        "signatures",
        "signatures of other keys stand before and after that of the log",
        SMALL,
        {
            "note": lambda note: note.replace("\n\n", "\n\n\u2014 %s AQIDBAU=\n" % pack.ORIGIN)
            + "\u2014 \u00e9 AQIDBAU=\n" * 97
        },
    )
    yield good(
        "second-signature",
        "the key of the log has a second signature, which is wrong and does not count",
        SMALL,
        {"note": lambda note: note + flipped_signature(note)},
    )
    yield good(
        "extensions-like-signatures",
        "extension lines look like signatures",
        SMALL,
        {"note": lambda note: extended(note, "\u2014 COMPLETE AAAA\n" * 101)},
    )


def system_events():
    """Returns the events of the system log of SMALL."""
    hashes = [pack.leaf_hash(one["event"]) for one in SMALL["items"]]
    return pack.system_log(SMALL, hashes)[0]


def extended(note, extension="an extension line\n\u202e second\n"):
    hashes = [pack.leaf_hash(e) for e in system_events()]
    assert note == pack.checkpoint(hashes)
    return pack.checkpoint(hashes, extension)


def flipped_signature(note):
    line = note.split("\n\n")[1].split("\n")[0]
    return line[:-8] + ("A" if line[-8] != "A" else "B") + line[-7:] + "\n"


def reordered(text):
    value = json.loads(text)
    return "\n\t " + json.dumps(dict(reversed(value.items())), indent=3).replace("/", "\\/") + "\r\n "
