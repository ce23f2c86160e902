"""A broker's own page of figures, asked by HTTP: RabbitMQ's rabbitmq_prometheus, NATS's monitor.

Both are on loopback in what `limpet broker-config` writes, without a password, as nobody else
reaches them. Whatever answers there, it takes a few seconds at most and a few megabytes.
"""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from limpet.brokers import kinds, written
from limpet.doctor.figures import Numbers
from limpet.doctor.live import parsed
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem

# Of one page, from the first byte asked for to the last one read.
PAGE_S = 3.0
_MOST_BYTES = 4 * 1024 * 1024
_CHUNK = 65_536
# NATS keeps the last 10,000 that have gone; the latest of them come first.
_CLOSED = "/connz?state=closed&sort=stop&limit=256"
_STREAMS = "/jsz?accounts=true&streams=true"
_SUCH_AS = "Such as http://127.0.0.1:8222 (NATS) or http://127.0.0.1:15692 (RabbitMQ)."


def of_fleet(layout: Layout) -> "Monitor | None":
    """Return the page of the broker whose files the fleet has, where that has one; else None."""
    for each in written.records(layout):
        if port := kinds.FIGURES.get(each.kind):
            return Monitor(f"http://127.0.0.1:{port}")
    return None


class Monitor:
    """The page at `url`: scheme, host and port. Raises Problem where it cannot be one."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            named = None
        if not named:
            raise Problem(f"{url} is no address of a page.", _SUCH_AS)
        if parts.username is not None or parts.password is not None:
            raise Problem(
                "A password on a command line can be read by every user of this machine.",
                "Ask on the broker's own machine, or through a tunnel: ssh -L 8222:127.0.0.1:8222.",
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._session = requests.Session()
        # Neither a proxy nor a password of ~/.netrc: it is asked for what everybody may know.
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"
        self.kind = ""

    def numbers(self) -> Numbers:
        """Return what the broker says of itself now. Raises Problem."""
        varz = self._json("/varz") if self.kind != "rabbitmq" else None
        if parsed.is_nats(varz):
            self.kind = "nats"
            return parsed.of_nats(varz, self._json(_STREAMS), self._json(_CLOSED))
        text = (self._page("/metrics") or b"").decode("utf-8", "replace")
        if not parsed.is_rabbitmq(text):
            raise Problem(
                f"What answers at {self.url} is neither NATS's monitor nor RabbitMQ's figures.",
                _SUCH_AS,
            )
        self.kind = "rabbitmq"
        return parsed.of_rabbitmq(text)

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self._page(path) or b"null")
        except (ValueError, RecursionError):
            return None

    def _page(self, path: str) -> bytes | None:
        """Return a page; None where there is none of that name. Raises Problem."""
        until, got = time.monotonic() + PAGE_S, bytearray()
        try:
            with self._session.get(
                self.url + path, timeout=PAGE_S, stream=True, allow_redirects=False
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    return None
                while chunk := answer.raw.read1(_CHUNK):
                    got += chunk
                    if len(got) > _MOST_BYTES or time.monotonic() > until:
                        raise Problem(f"The page {self.url}{path} does not end.", _SUCH_AS)
        except (requests.RequestException, HTTPError, OSError, UnicodeError):
            raise Problem(
                f"Nothing answers at {self.url}, where the broker's own figures are to be.",
                "Is it on another port or machine? --figures URL. docs/capacity.md tells how to "
                "have them.",
            ) from None
        return bytes(got)
