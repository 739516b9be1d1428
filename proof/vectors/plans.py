"""The logs, definitions and plans that the packs are made from."""

import hashlib
import tomllib

from pack import item, noon
from tables import FORMAT, time
from writer import s

KINDS = [
    ("login_succeeded", "auth", "success"),
    ("ticket_created", "other", "success"),
    ("login_failed", "auth", "failure"),
    ("user_role_changed", "admin", "success"),
    ("login_failed", "auth", "denied"),
]

LOGINS = {
    "name": "logins",
    "version": 3,
    "title": "Logins",
    "purpose": "This pack shows logins and changes of roles.",
    "controls": [{"framework": "House rules", "ids": ["4.2"], "evidence": "Logins are recorded."}],
    "include": [
        {"actions": ["login_succeeded", "login_failed"], "categories": ["auth"]},
        {"actions": ["user_role_changed"]},
    ],
    "filters": False,
    "summary": [{"column": "logins", "actions": ["login_succeeded"]}],
    "tags": {},
}
TAGGED = LOGINS | {
    "name": "tagged",
    "include": [{"tags": ["login", "door"], "outcomes": ["success", "denied"]}, {"tags": ["role_change"]}],
    "summary": [
        {"column": "logins", "tags": ["login"]},
        {"column": "denied_logins", "tags": ["login"], "outcomes": ["denied"]},
    ],
    "tags": {
        "door": [],
        "login": ["login_failed", "login_succeeded", "user.login", "\uffee", "\U00010000"],
        "role_change": ["user_role_changed"],
    },
}
EVERYTHING = LOGINS | {"name": "everything", "controls": [], "include": [], "summary": []}
FILTERED = LOGINS | {"name": "filtered", "filters": True}


def built_in(name):
    """Returns a built-in definition, with all keys but absent arrays of rules."""
    file = tomllib.loads((FORMAT / "definitions.toml").read_text("utf-8"))
    for pack in file["pack"]:
        if pack["name"] == name:
            made = {"controls": [], "include": [], "filters": False, "summary": []} | pack
            used = {tag for rule in made["include"] + made["summary"] for tag in rule.get("tags", [])}
            return made | {"tags": {tag: file["tags"][tag] for tag in sorted(used)}}
    raise KeyError(name)


def day(number):
    """Returns midnight of a day of March 2025."""
    return noon(3, number, 0)


def log(size, **changes):
    """Returns the items of a log. Its leaf i is recorded on day i + 1 of March 2025."""
    out = []
    for leaf in range(size):
        action, category, outcome = KINDS[leaf % len(KINDS)]
        out.append(item(leaf, day(1 + leaf), action, category, outcome=outcome, **changes))
    return out


def log_id(workspace):
    return hashlib.sha256(b"log id " + workspace.encode()).digest()[:16]


# Leaves 9 to 17 are in the range, leaves 9 to 13 in the period. Leaf 11 is none that the definition names.
SMALL = {
    "workspace": "acme",
    "log_id": log_id("acme"),
    "items": log(20),
    "claim": "complete",
    "definition": LOGINS,
    "filters": {},
    "since": day(10),
    "until": day(15),
    "from": 9,
    "from_at": noon(3, 9),
    "size": 18,
    "size_at": noon(3, 18),
    "start": day(1),
    "end": day(20),
    "taken_at": day(21),
    "kept_since": noon(3, 20) - 365 * 86_400_000_000,
}
WHOLE = SMALL | {"from": None}
INCLUSION = WHOLE | {"definition": FILTERED, "filters": {"actor": "user:1"}, "claim": "inclusion"}
UNPROVEN = SMALL | {"claim": None}


def system_items():
    """Returns the items of a system log."""
    kinds = [
        ("heads_recorded", "system:sealer"),
        ("api_token_created", "dana@example.com"),
        ("action_registered", None),
    ]
    return [
        item(
            leaf,
            day(1 + leaf),
            kinds[leaf % 3][0],
            "audit",
            workspace="audit",
            actor=kinds[leaf % 3][1],
            details='{"heads": []}' if leaf % 3 == 0 else "{}",
        )
        for leaf in range(20)
    ]


SYSTEM = WHOLE | {
    "workspace": "audit",
    "log_id": log_id("audit"),
    "items": system_items(),
    "size": None,
    "definition": built_in("change-management"),
}

# The log with removals: leaves 10, 12 and 15 were removed on 2 July, as leaf 17 says.
KEPT_SINCE, REMOVED_AT = noon(5, 1, 0), noon(7, 2, 0)


def removal(
    leaf, ranges, recorded_at=REMOVED_AT, kept_since=KEPT_SINCE, form="removal", withheld=(), details=None, raw=None
):
    """Returns the item of an event that records a removal. `raw` changes raw values of its details."""
    values = {
        "retention": s("60 days"),
        "kept_since": s(time(kept_since)),
        "last_time": s(time(day(16))),
        "events": "%d" % sum(b - a for a, b in ranges),
        "leaves": "[%s]" % ", ".join("[%d, %d]" % pair for pair in ranges),
        "note": '{"deep": [1.5e3, null]}',
    }
    values = {key: value for key, value in (values | (raw or {})).items() if value is not None}
    made = "{%s}" % ", ".join('"%s": %s' % member for member in values.items())
    return item(
        leaf,
        recorded_at,
        "events_removed",
        "audit",
        form,
        withheld,
        actor="system:retention",
        targets=[],
        details=details or made,
    )


def with_removals(record, removed=(10, 12, 15)):
    """Returns a plan in which leaves were removed. `record` is the item of leaf 17."""
    items = log(20)
    for leaf in removed:
        items[leaf]["form"] = "removed"
    items[17] = record
    for leaf in (18, 19):
        items[leaf] = item(leaf, noon(7, leaf - 15), "ticket_created", "other")
    return SMALL | {
        "items": items,
        "size_at": noon(7, 3),
        "end": noon(7, 5),
        "taken_at": noon(7, 6),
        "kept_since": noon(5, 2, 0),
    }


RANGES = [(2, 4), (10, 11), (12, 13), (15, 16)]
REMOVALS = with_removals(removal(17, RANGES))
