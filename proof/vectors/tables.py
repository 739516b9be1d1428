"""What follows from the events and the manifest of a pack: both tables, the counts and README.txt."""

import pathlib
import re

from writer import SOURCE, raw_fields, t

FORMAT = pathlib.Path(__file__).resolve().parent.parent
LISTS = {"actions": "action", "tags": "tag", "categories": "category", "outcomes": "outcome"}
NOT_PLAIN = [
    (0x0, 0x1F),
    (0x7F, 0xA0),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x1680, 0x1680),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2000, 0x200F),
    (0x2028, 0x202F),
    (0x205F, 0x206F),
    (0x3000, 0x3000),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
]


def time(micros):
    return t(micros).strip('"')


def match(rule, event, tags):
    has = [tag for tag, actions in tags.items() if event["action"] in actions]
    event = {name: {event[name]} for name in LISTS.values() if name != "tag"} | {"tag": {*has}}
    return all(not rule.get(key) or event[name] & {*rule[key]} for key, name in LISTS.items())


def names(definition, event):
    return not definition["include"] or any(match(rule, event, definition["tags"]) for rule in definition["include"])


# Tables


def cell(text):
    return '"%s"' % text.replace('"', '""') if set('",\r\n') & set(text) else text


def free(text):
    return "'" + text if text[:1] in list("=+-@\uff1d\uff0b\uff0d\uff20\t\n\r") else text


def table(rows):
    return ("\ufeff" + "".join(",".join(map(cell, row)) + "\r\n" for row in rows)).encode()


def events_csv(items):
    columns = ["workspace", "occurred_at", "recorded_at", "category", "action", "outcome", "actor", "targets"]
    rows = [["id", *columns, *SOURCE, "details", "withheld"]]
    for item in items:
        e, hidden = item["event"], item["withheld"]
        cells = e | e["source"] | {"occurred_at": time(e["occurred_at"]), "recorded_at": time(e["recorded_at"])}
        cells |= {"targets": raw_fields(e)["targets"]}
        of_hidden = [f for f in ("actor", "targets", "details") if f in hidden] + SOURCE * ("source" in hidden)
        cells |= dict.fromkeys(of_hidden, "")
        shown = [free(cells[column] or "") for column in [*columns, *SOURCE, "details"]]
        rows.append([str(e["id"]), *shown, " ".join(hidden)])
    return table(rows)


def actors(items):
    """Returns the events of each row of summary.csv, by kind and actor. No pack of the vectors has other actors."""
    rows = {}
    for item in items:
        actor = item["event"]["actor"]
        kind = (
            (3, "withheld", "")
            if "actor" in item["withheld"]
            else (2, "none", "") if actor is None else (1, "actor", actor)
        )
        rows.setdefault(kind, []).append(item["event"])
    return {kind: rows[kind] for kind in sorted(rows, key=lambda kind: (kind[0], kind[2].encode()))}


def summary_csv(items, definition):
    outcomes = ["success", "failure", "denied"]
    columns = [{"outcomes": [outcome]} for outcome in outcomes] + definition["summary"]
    heading = ["kind", "actor", "events", *outcomes, *(column["column"] for column in definition["summary"])]
    rows = [[*heading, "first_occurred_at", "last_occurred_at"]]
    for (_, kind, actor), events in actors(items).items():
        times = [e["occurred_at"] for e in events]
        numbers = [len(events)] + [sum(match(column, e, definition["tags"]) for e in events) for column in columns]
        rows.append([kind, free(actor), *map(str, numbers), time(min(times)), time(max(times))])
    return table(rows)


def counts(items):
    events = [item["event"] for item in items]

    def by(name):
        values = [e[name] for e in events]
        return {value: values.count(value) for value in values}

    ends = [{"id": e["id"], "occurred_at": time(e["occurred_at"])} for e in events[:1] + events[-1:]]
    first, last = ends or (None, None)
    return {
        "events": len(events),
        "by_category": by("category"),
        "by_outcome": by("outcome"),
        "first": first,
        "last": last,
        "actors": sum(kind == "actor" for _, kind, _ in actors(items)),
        "events_of_other_actors": 0,
    }


# README.txt


def quoted(text):
    out = ""
    for c in text:
        hidden = not " " <= c <= "~"
        out += "\\" + c if c in '"\\' else "\\u{%x}" % ord(c) if hidden else c
    return '"' + out + '"'


def wrapped(text, indent=""):
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(indent + line + " " + word) > 78:
            lines.append(indent + line)
            line = word
        else:
            line = line + " " + word if line else word
    return "\n".join([*lines, indent + line])


def rules(definition):
    lines = []
    for index, rule in enumerate(definition["include"]):
        lines.append("Rule %d" % (index + 1))
        for key, name in LISTS.items():
            if rule.get(key):
                lines += ["    %s is one of" % name] + [8 * " " + quoted(value) for value in rule[key]]
    return "\n".join(lines)


def tags(definition):
    lines = []
    for tag in sorted(definition["tags"], key=str.encode):
        lines += ["Tag " + quoted(tag)] + [8 * " " + quoted(action) for action in definition["tags"][tag]]
    return "\n".join(lines)


def unclassified(actions):
    return "\n".join("    %s: %d" % (quoted(action), actions[action]) for action in sorted(actions, key=str.encode))


def filters(manifest):
    lines = []
    for key in sorted(manifest["filters"], key=str.encode):
        value = manifest["filters"][key]
        values = [value] if isinstance(value, str) else value
        lines.append("    %s = %s" % (quoted(key), ", ".join(quoted(one) for one in values)))
    return "\n".join(lines)


def controls(definition):
    blocks = []
    for control in definition["controls"]:
        title = control["framework"] + (" " + ", ".join(control["ids"]) if control["ids"] else "")
        blocks.append("| " + title + "\n" + wrapped(control["evidence"], "|     "))
    return "\n\n".join(blocks)


def readme(manifest):
    definition, period, snapshot = manifest["definition"], manifest["period"], manifest["snapshot"]
    proof, key = manifest["proof"], manifest["key"]
    holds = {
        "complete": proof == "complete",
        "inclusion": proof == "inclusion",
        "unproven": proof is None,
        "proven": proof is not None,
        "all": definition["include"] == [],
        "rules": definition["include"] != [],
        "filtered": manifest["filters"] != {},
        "expired": period["since"] < snapshot["kept_since"],
        "controls": definition["controls"] != [],
        "no_controls": definition["controls"] == [],
        "tagged": definition["tags"] != {},
        "classified": manifest["unclassified"]["events"] == 0,
        "unclassified": manifest["unclassified"]["events"] > 0,
        "key": proof is not None and key is not None,
    }
    words = {
        **manifest["software"],
        "workspace": manifest["workspace"],
        "exported_by": manifest["exported_by"],
        "retention": snapshot["retention"],
        "key": key or "",
    }
    values = {name: quoted(word) for name, word in words.items()}
    values |= {
        "pack": definition["name"],
        "version": str(definition["version"]),
        "since": period["since"],
        "until": period["until"],
        "taken_at": snapshot["taken_at"],
        "kept_since": snapshot["kept_since"],
        "export_event": str(manifest["export_event"]),
        "title": wrapped(definition["title"], "| "),
        "purpose": wrapped(definition["purpose"], "| "),
        "rules": rules(definition),
        "tags": tags(definition),
        "filters": filters(manifest),
        "unclassified_events": str(manifest["unclassified"]["events"]),
        "unclassified": unclassified(manifest["unclassified"]["actions"]),
        "controls": controls(definition),
    }
    lines, keep = [], True
    for line in (FORMAT / "readme.txt").read_text("utf-8").split("\n"):
        if line == "[end]":
            keep = True
        elif line.startswith("[if "):
            keep = holds[line[4:-1]]
        elif keep:
            lines.append(line)
    return re.sub(r"\{([a-z_]+)\}", lambda name: values[name[1]], "\n".join(lines)).encode()
