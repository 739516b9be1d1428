"""Sends generated requests that the OpenAPI document allows, and checks the answers: `valid_requests.py URL`. No answer may be a
5xx or differ from the document, and no request may be refused but for a reason in REFUSALS. The environment variable TOKEN has
a token of role admin for all workspaces."""

import collections
import os
import sys

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

EXAMPLES = 20

# The rules that a schema cannot express: the reason for which a request that the document allows may be refused, for each code and
# parameter ("" if the code has none).
EVERYWHERE = {
    ("invalid_value", "workspace"): "the limit of a name is in bytes",
    ("invalid_range", ""): "since must be before until",
    ("invalid_value", "since"): "not every month has 31 days",
    ("invalid_value", "until"): "not every month has 31 days",
    ("invalid_value", "details"): "the text must be valid JSON",
}
REFUSALS = {
    "append_events": {
        ("invalid_json", ""): "NDJSON is text to OpenAPI",
        ("invalid_event", ""): "NDJSON is text to OpenAPI",
        ("invalid_value", ""): "the limits of names are in bytes",
        ("invalid_details", ""): "the catalog has a schema for the action",
        ("forbidden", ""): "only the audit log records actions of category audit",
    },
    "find_events": {
        ("invalid_value", ""): "the form of an address does not say that it exists",
        ("invalid_cursor", ""): "a cursor comes from the page before",
    },
    "count_events": {
        ("invalid_value", ""): "the form of an address does not say that it exists",
        ("invalid_value", "bucket"): "a bucket has at most ten years",
        ("invalid_value", "zone"): "the form of a time zone does not say that it exists",
    },
    "get_event": {("event_not_found", ""): "the id is one that was stored"},
    "redact_event": {
        ("event_not_found", ""): "the id is one that was stored",
        ("not_redactable", ""): "the event may be redacted already",
        ("invalid_value", ""): "the limit of the reason",
    },
    "read_feed": {("invalid_value", "after"): "the leaf must exist"},
    "get_pack": {
        ("pack_not_found", ""): "the names are those of GET /v1/packs",
        ("unknown_workspace", ""): "the workspace must have events",
        ("invalid_value", "*"): "only the pack export accepts filters",
    },
    "get_checkpoint": {("not_found", ""): "nothing is signed"},
    "place_legal_hold": {
        ("legal_hold_conflict", ""): "the hold may be active already",
        ("invalid_value", ""): "the limits of names are in bytes",
    },
    "release_legal_hold": {
        ("legal_hold_conflict", ""): "the hold must be active",
        ("invalid_value", ""): "the limits of names are in bytes",
    },
    "create_viewer_link": {
        ("invalid_value", ""): "the limits of names are in bytes, and some actors stand for the audit log",
    },
    "end_viewer_session": {("not_found", ""): "the session must exist"},
    "set_retention": {
        ("invalid_value", ""): "either retention or preset is given, and a preset must exist",
        ("invalid_retention", ""): "the length is from 60 days to 100 years",
    },
}


# Operations that generated values do not serve: an id or a name that exists, and one of two fields with a certain length.
NEVER_ANSWERED = {"get_checkpoint", "get_event", "get_pack", "redact_event", "set_retention", "end_viewer_session"}


def is_allowed(operation: str, error: dict) -> bool:
    detail = error.get("detail") or {}
    parameter = str(detail.get("parameter", "")).rstrip("!").removeprefix("not_")
    known = {**EVERYWHERE, **REFUSALS.get(operation, {})}
    return any((error["code"], name) in known for name in (parameter, "*"))


def prepare(case, parameters: set) -> None:
    """Names a workspace, because a token for all workspaces has no default, and does not wait for events to come."""
    if "workspace" in parameters and "workspace" not in (case.path_parameters or {}):
        case.query = {"workspace": "acme", **(case.query or {})}
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(body, dict) and body.get("workspace") is None:
            body["workspace"] = "acme"
    if "wait" in (case.query or {}):
        case.query["wait"] = "0s"


def checked(operation, headers: dict, problems: list, statuses: collections.Counter) -> None:
    name = operation.definition.raw["operationId"]
    parameters = {parameter["name"] for parameter in operation.definition.raw.get("parameters", [])}

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def send(case) -> None:
        prepare(case, parameters)
        response = case.call(headers=headers)
        code = response.json()["error"]["code"] if response.status_code >= 400 else ""
        statuses[name, response.status_code, code] += 1
        if response.status_code >= 500:
            problems.append(f"{name}: {response.status_code} {response.text[:300]}\n  {case.as_curl_command()[:800]}")
        elif response.status_code >= 400 and not is_allowed(name, response.json()["error"]):
            problems.append(f"{name} refuses: {response.text[:400]}\n  {case.as_curl_command()[:800]}")
        try:
            case.validate_response(response, headers=headers, checks=CHECKS)
        except Exception as failure:  # All failures are reported together.
            problems.append(f"{name}: {str(failure)[:800]}")

    try:
        send()
    except Unsatisfiable:
        problems.append(f"{name}: no request matches the document")


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def main() -> None:
    url = sys.argv[1]
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json", headers=headers)
    problems: list[str] = []
    statuses: collections.Counter = collections.Counter()
    # A parameter of OpenAPI cannot contain the slashes of the index of a tile.
    operations = document.exclude(operation_id=["get_system_tile", "get_workspace_tile"])
    for found in operations.get_all_operations():
        checked(found.ok(), headers, problems, statuses)
    answered = {name for name, status, _ in statuses if status < 400}
    missing = {name for name, _, _ in statuses} - answered - NEVER_ANSWERED
    if missing:
        problems.append(f"no request of these operations succeeds: {sorted(missing)}")
    for (name, status, code), count in sorted(statuses.items()):
        print(f"{name} {status} {code} {count}")
    if problems:
        sys.exit("\n".join(problems[:20]))


main()
