"""A page in this process: a real server on loopback, and a model that a test tells what is heard.

Its broker is never there, unless a test names one.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from limpet.heard.known import Known
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.ingest.asked import Address
from limpet.ingest.consumer import Message
from limpet.page.asked import LOOPBACK
from limpet.page.assembly import Broker, Page, listener
from limpet.page.serving.guard import Access
from support.brokers.running import base
from support.page_visitor import Visitor
from support.ports import closed_port


def quiet(text: str) -> None:
    """What the page says is nobody's here."""


def said(
    kind: str, payload: dict[str, Any], device: str = "node-1", *, retained: bool = False
) -> Message:
    """Return a Message of a device, such as `said("telemetry", reading(1))`."""
    text = json.dumps({"v": 1} | payload).encode()
    return Message(f"{base(device)}/{kind}", text, 0, 0, retained)


def reading(seq: int, ts: float | None = None, *, boot: int = 1, **values: Any) -> dict[str, Any]:
    """Return what a Reading's payload says; ts: now where none is given."""
    values = values or {"temperature": 20.5}
    return {"boot": boot, "seq": seq, "ts": int(time.time() if ts is None else ts)} | values


def hear(page: Page, *messages: Message) -> None:
    """Have the page hear that now."""
    with page.model.lock:
        for each in messages:
            page.model.take(each, time.time())


@contextlib.contextmanager
def page_here(
    setup: Setup, port: int | None = None, *, access: Access | None = None, **how: Any
) -> Iterator[tuple[Page, Visitor]]:
    """Run one with a broker at `port`; how: Page's own."""
    root = setup.layout.root
    identity = operator_identity(root)
    broker = Address(
        (("127.0.0.1", port or closed_port()),),
        None,
        identity.name,
        identity.ca,
        identity.cert,
        identity.key,
    )
    listens, _ = listener("127.0.0.1", 0)
    access = access or Access(LOOPBACK)
    scheme = "https" if how.get("tls") else "http"
    visitor = Visitor(f"{scheme}://127.0.0.1:{listens.getsockname()[1]}")
    known = Known(root, None, quiet)
    try:
        with Page(
            "here", known, Broker(broker, ("limpet/#",)), access, listens, quiet, **how
        ) as page:
            yield page, visitor
    finally:
        identity.release()
