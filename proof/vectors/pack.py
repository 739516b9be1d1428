"""Makes a pack from a plan. Every step can be changed, so that a pack has exactly one fault.

A step is a function that takes what was made so far and returns it changed. Everything that follows from it is then
made from the change:

leaves      the items of the workspace log, each an event and how the pack shows it
system      the events of the system log
shown       the items that the pack shows: the log itself keeps what it has
order       the shown items of events.json
lines       the lines of each array file, by file
note        the checkpoint
log, log_text       proof/log.json, as object and as text
prefixes    proof/prefixes.bin
counts, csv, summary        `counts`, events.csv and summary.csv
manifest    the manifest without `files`
readme      README.txt
broken      the manifest without `files`, which README.txt does not follow
files       the contents of all files but the manifest, by name
listed      `files` of the manifest
manifest_text       the text of the manifest
entries     the entries of the zip
zip         the zip
"""

import base64
import copy
import functools
import hashlib
import json

import ed25519
import zips
from events import event, micros
from signed import LOG, WITNESS, line, vkey
from tables import counts, events_csv, names, readme, summary_csv, time
from tree import inclusion, mth, subset
from writer import body_of, field_digests, full_line, head_of, leaf_hash_of, s, stub_line, withheld_line

ORIGIN, SEED = "audit.example.com", bytes([1]) * 32
WITNESS_NAME, WITNESS_SEED = "witness.example.org", bytes([2]) * 32
KEY, STRANGER = vkey(ORIGIN, LOG, SEED), vkey(ORIGIN, LOG, bytes([3]) * 32)
WITNESS_KEY = vkey(WITNESS_NAME, WITNESS, WITNESS_SEED)
COSIGNED_AT = 1_790_000_000
SIGN = functools.cache(ed25519.sign)
ARRAYS = {
    "event": "events.json",
    "stub": "proof/stubs.json",
    "removed": "proof/removed.json",
    "removal": "proof/removals.json",
}


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def noon(month, day, hour=12, *more):
    return micros(2025, month, day, hour, *more)


def item(leaf, recorded_at, action, category, form=None, withheld=(), **changes):
    """Returns an item of a log. Without a form the definition decides between an event and a stub."""
    e = event(
        "",
        **{
            "id": 1000 + leaf,
            "leaf": leaf,
            "recorded_at": recorded_at,
            "occurred_at": recorded_at,
            "action": action,
            "category": category,
            "salt": sha256(b"salt %d" % leaf)[:16].hex(),
            "targets": ["ticket:%d" % leaf],
            "actor": "user:%d" % (leaf % 3),
            "details": '{"n": %d}' % leaf,
            **changes,
        },
    )
    return {"event": e, "form": form, "withheld": list(withheld)}


def leaf_hash(e):
    return leaf_hash_of(head_of(e), body_of(field_digests(e)))


def line_of(item):
    e = item["event"]
    if item["form"] == "removed":
        return '{"leaf":%d,"hash":"%s"}' % (e["leaf"], b64(leaf_hash(e)))
    if item["form"] == "stub":
        return stub_line(e)
    return withheld_line(e, item["withheld"]) if item["withheld"] else full_line(e)


def array(lines):
    return ("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[\n]\n").encode()


def digest_of_head(plan, size, root):
    text = "audit-head/v1\n%s\n%s\n%d\n%s\n" % (b64(plan["log_id"]), s(plan["workspace"]), size, b64(root))
    return b64(sha256(text.encode()))


def heads_event(leaf, recorded_at, digests):
    details = '{"heads": [%s]}' % ", ".join('"%s"' % digest for digest in digests)
    return item(
        leaf,
        recorded_at,
        "heads_recorded",
        "audit",
        workspace="audit",
        actor="system:sealer",
        targets=[],
        id=5000 + leaf,
        details=details,
        salt=sha256(b"system %d" % leaf)[:16].hex(),
    )["event"]


def system_log(plan, tree):
    """Returns the events of the system log, and the leaves that record the beginning and the head."""
    events, places, other = [], {}, b64(sha256(b"another workspace"))
    for name in ("from", "size"):
        fill = plan["start"] + len(events)
        events.append(heads_event(len(events), fill, [other]))
        if plan[name] is not None:
            size, places[name] = plan[name], len(events)
            digest = digest_of_head(plan, size, mth(tree[:size]))
            events.append(heads_event(len(events), plan[name + "_at"], [other, digest]))
    return events + [heads_event(len(events), plan["end"], [other])], places


def checkpoint(system, extension="", signer=SEED):
    text = "%s\n%d\n%s\n%s" % (ORIGIN, len(system), b64(mth(system)), extension)
    cosigned = "cosignature/v1\ntime %d\n%s" % (COSIGNED_AT, text)
    note = text + "\n" + line(ORIGIN, LOG, signer, SIGN(signer, text.encode()))
    cosignature = COSIGNED_AT.to_bytes(8, "big") + SIGN(WITNESS_SEED, cosigned.encode())
    return note + line(WITNESS_NAME, WITNESS, WITNESS_SEED, cosignature)


def recorded(plan, tree, system, places, name):
    if plan[name] is None:
        return None
    if plan["workspace"] == "audit":
        return plan["recorded_from"]
    hashes, leaf = [leaf_hash(e) for e in system], places[name]
    path = [b64(hash) for hash in inclusion(leaf, hashes)]
    return {
        "size": plan[name],
        "root": b64(mth(tree[: plan[name]])),
        "heads_event": full_line(system[leaf]),
        "path": path,
    }


def form_of(plan, item):
    in_period = plan["since"] <= item["event"]["occurred_at"] < plan["until"]
    return "event" if in_period and names(plan["definition"], item["event"]) else "stub"


def in_pack(plan, item):
    """An inclusion shows events only. A whole range shows every leaf from the first one to the head."""
    if plan["claim"] != "complete":
        return item["form"] == "event"
    return item["event"]["leaf"] is None or (plan["from"] or 0) <= item["event"]["leaf"] < plan["head"]


def build(plan, steps):
    """Returns the bytes of the pack, and the items that it shows."""
    unknown = set(steps)

    def step(name, made):
        unknown.discard(name)
        return steps[name](made) if name in steps else made

    items = copy.deepcopy(plan["items"])
    for one in items:
        one["form"] = one["form"] or form_of(plan, one)
    items = step("leaves", items)
    tree = [leaf_hash(one["event"]) for one in items]
    plan = plan | {"head": len(tree) if plan["size"] is None else plan["size"]}
    shown = step("shown", copy.deepcopy([one for one in items if in_pack(plan, one)]))
    by_form = {form: [one for one in shown if one["form"] == form] for form in ARRAYS}
    by_form["event"].sort(key=lambda one: (one["event"]["occurred_at"], one["event"]["id"]))
    by_form["event"] = step("order", by_form["event"])
    lines = {name: [line_of(one) for one in by_form[form]] for form, name in ARRAYS.items()}
    files = {name: array(of_file) for name, of_file in step("lines", lines).items()}

    if plan["claim"]:
        files |= proof(plan, step, tree, shown)
    else:
        files = {"events.json": files["events.json"]}
    events, definition = by_form["event"], plan["definition"]
    files["events.csv"] = step("csv", events_csv(events))
    files["summary.csv"] = step("summary", summary_csv(events, definition))

    manifest = step("manifest", manifest_of(plan, step("counts", counts(events))))
    files["README.txt"] = step("readme", readme(manifest))
    manifest = step("broken", manifest)
    files = dict(sorted(step("files", files).items()))
    listed = [{"name": name, "bytes": len(data), "sha256": sha256(data).hex()} for name, data in files.items()]
    manifest["files"] = step("listed", listed)
    text = step("manifest_text", json.dumps(manifest, ensure_ascii=False))
    made = step(
        "zip",
        zips.written(step("entries", zips.stored(files | {"manifest.json": text.encode("utf-8", "surrogateescape")}))),
    )
    assert not unknown, unknown
    return made, shown


def proof(plan, step, tree, shown):
    if plan["workspace"] == "audit":
        system, places, hashes = [], {}, tree
    else:
        system, places = system_log(plan, tree)
        system = step("system", system)
        hashes = [leaf_hash(e) for e in system]
    size, hash_of = plan["head"], {one["event"]["leaf"]: leaf_hash(one["event"]) for one in shown}
    hash_of = {leaf: hash for leaf, hash in hash_of.items() if leaf is not None}
    log = step(
        "log",
        {
            "v": 1,
            "workspace": plan["workspace"],
            "log_id": b64(plan["log_id"]),
            "claim": plan["claim"],
            "head": recorded(plan, tree, system, places, "size"),
            "from": recorded(plan, tree, system, places, "from"),
            "first": plan["from"] or 0,
            "hashes": [b64(hash) for hash in subset(hash_of, tree[:size])],
        },
    )
    files = {
        "proof/checkpoint.txt": step("note", checkpoint(hashes)).encode("utf-8", "surrogateescape"),
        "proof/log.json": step("log_text", json.dumps(log, ensure_ascii=False)).encode("utf-8", "surrogateescape"),
    }
    if plan["claim"] == "complete":
        prefixes = b"".join(hash_of[leaf][:4] for leaf in sorted(hash_of))
        files["proof/prefixes.bin"] = step("prefixes", prefixes)
    return files


def manifest_of(plan, counted):
    return {
        "pack_version": 1,
        "workspace": plan["workspace"],
        "period": {"since": time(plan["since"]), "until": time(plan["until"])},
        "definition": copy.deepcopy(plan["definition"]),
        "filters": copy.deepcopy(plan["filters"]),
        "snapshot": {
            "taken_at": time(plan["taken_at"]),
            "retention": "365 days",
            "kept_since": time(plan["kept_since"]),
        },
        "exported_by": "dana@example.com",
        "export_event": 2000,
        "counts": counted,
        "unclassified": copy.deepcopy(plan.get("unclassified", {"events": 0, "actions": {}})),
        "key": KEY,
        "proof": plan["claim"],
        "software": {"audit_sidecar": "0.1.0", "audit_log": "0.1.0", "postgresql": "17.2"},
    }
