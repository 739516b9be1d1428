"""Generates a client from the OpenAPI document of a sidecar, and uses it: `client.py URL`. The environment variable TOKEN
has a token of role admin for all workspaces."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

# The media types that the generator takes for text or for bytes.
CONFIG = """
post_hooks: []
content_type_overrides:
  application/x-ndjson: text/plain
  text/csv: text/plain
  application/zip: application/octet-stream
"""


def fetch(url: str, token: str) -> dict:
    request = urllib.request.Request(f"{url}/v1/openapi.json", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def generate(document: dict, folder: Path) -> None:
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none",
               "--output-path", "audit_client", "--config", "config.yml"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    said = made.stdout + made.stderr
    assert made.returncode == 0, said
    # The generator makes no text bodies of requests, such as NDJSON. It must understand the rest.
    warnings = said.split("WARNING")[1:]
    assert len(warnings) == 1 and "POST /v1/events" in warnings[0] and "content type text/plain" in warnings[0], said


def use(url: str, token: str, document: dict) -> None:
    def operation(tag: str, name: str):
        return importlib.import_module(f"audit_client.api.{tag}.{name}")

    for item in document["paths"].values():
        for described in item.values():
            operation(described["tags"][0], described["operationId"])

    models = importlib.import_module("audit_client.models")
    client = importlib.import_module("audit_client").AuthenticatedClient(base_url=url, token=token)
    event = models.NewEvent(action="order_placed", workspace="generated", actor="user:ü", target="order:1")
    other = models.NewEvent(action="order_placed", workspace="generated", actor="user:b")
    append = operation("events", "append_events").sync
    [one] = append(client=client, body=event).ids
    [two] = append(client=client, body=[other]).ids
    find = operation("events", "find_events").sync
    page = find(client=client, workspace="generated", action=["order_placed"], not_actor=["user:b"])
    assert [found.id for found in page.events] == [one], page
    assert page.events[0].actor == "user:ü" and page.events[0].targets == ["order:1"], page
    assert operation("events", "get_event").sync(two, client=client).actor == "user:b"

    hold = models.LegalHoldRequest(workspace="generated", reason="a test", target="order:1")
    placed = operation("retention", "place_legal_hold").sync_detailed(client=client, body=hold)
    assert placed.status_code == 201 and placed.parsed.target == "order:1", placed
    again = operation("retention", "place_legal_hold").sync_detailed(client=client, body=hold)
    assert again.status_code == 409 and again.parsed.error.code == models.Code.LEGAL_HOLD_CONFLICT, again
    held = operation("retention", "list_legal_holds").sync(client=client, workspace="generated", active=True)
    assert [hold.target for hold in held.legal_holds] == ["order:1"], held
    kept = operation("retention", "get_retention").sync(client=client, workspace="generated")
    assert (kept.retention, kept.legal_holds) == ("13 months", 1), kept


def main() -> None:
    url, token = sys.argv[1], os.environ["TOKEN"]
    document = fetch(url, token)
    with tempfile.TemporaryDirectory() as folder:
        generate(document, Path(folder))
        sys.path.insert(0, folder)
        use(url, token, document)


main()
