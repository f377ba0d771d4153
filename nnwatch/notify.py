"""Sends one message to where the user wants to be told: `python -m nnwatch.notify`, started by the monitor.

The services, some hundred of them, are apprise's (the extra ``alerts``): Slack, mail, the desktop, any webhook. A
process of its own, so that an endpoint that is slow or dead costs the run nothing. What is sent comes as JSON on
standard input: addresses hold secrets, which a command line would show to everybody.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
from typing import Any

from .errors import RunError


def check(address: str) -> None:
    """Raises RunError unless messages can be sent to ``address``: a URL of apprise, or a file of such."""
    if importlib.util.find_spec("apprise") is None:
        raise RunError("--alert needs apprise, which is not installed; pip install 'nnwatch[alerts]'")
    if not len(_service(address)):
        form = "a URL such as slack://..., mailto://..., json://host/path, or a file of apprise"
        raise RunError(f"--alert {masked(address)}: no address that apprise knows; give {form}")


def masked(address: str) -> str:
    """What may be shown of an address."""
    scheme, sign, _ = address.partition("://")
    return f"{scheme}://..." if sign else address


def _service(address: str) -> Any:
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would show the address
    service = apprise.Apprise()
    if "://" in address:
        service.add(address)
    elif os.path.exists(address):
        config = apprise.AppriseConfig()
        config.add(address)
        service.add(config)
    return service


def main() -> int:
    """0 if the message was taken."""
    message = json.load(sys.stdin)
    kind = {"info": "info", "watch": "info", "warn": "warning"}.get(message["severity"], "failure")
    service = _service(message["to"])
    return 0 if service.notify(title=message["title"], body=message["body"], notify_type=kind) else 1


if __name__ == "__main__":
    sys.exit(main())
