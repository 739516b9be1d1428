"""The requests that each runner makes. See ../README.md."""

from concurrent.futures import ThreadPoolExecutor

REFUSED = 13


def tenant(ticket):
    workspace = ("globex", "acme")[ticket % 2]
    return workspace, f"user:{workspace}", f"192.0.2.{1 + ticket % 2}"


def run(close):
    """Calls `close(workspace, actor, ip, ticket)` for each ticket in four threads."""
    with ThreadPoolExecutor(4) as threads:
        requests = {ticket: threads.submit(close, *tenant(ticket), ticket) for ticket in range(1, 41)}
    failed = [ticket for ticket, request in requests.items() if request.exception()]
    for ticket in failed:
        if ticket != REFUSED:
            raise requests[ticket].exception()
    assert failed == [REFUSED], failed
