"""The page that `limpet run` serves meanwhile. Its packages are an extra, and without them there is
none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from limpet.brokers.embedded.broker import LOOPBACK
from limpet.heard.known import Known
from limpet.identity.operators import operator_identity
from limpet.ingest.asked import Address
from limpet.operating.levers.levers import Levers
from limpet.running.scene import Scene
from limpet.shared.extras import EXTRAS, installing


def lacking() -> str:
    """Return what is to be said where the page cannot be had, else nothing."""
    there = all(find_spec(name) for name, extra in EXTRAS.items() if extra == "page")
    return "" if there else f"comes with limpet[page]: {installing('page')}"


@contextlib.contextmanager
def page(
    directory: Path, port: int, scene: Scene, levers: Levers | None, speed: float
) -> Iterator[tuple[str, str]]:
    """Serve the page of the set-up in `directory`, whose broker is at `port`, while the block runs.
    speed: of the node's clock. Yield its address and a remark.
    """
    from limpet.page import asked, assembly, commanding
    from limpet.page.serving.guard import Access

    with contextlib.closing(operator_identity(directory)) as who:
        broker = assembly.Broker(
            Address(((LOOPBACK, port),), None, who.name, who.ca, who.cert, who.key),
            (f"{scene.base.split('/')[0]}/#",),
        )
        listens, wanted = assembly.listener(asked.HOST, asked.PORT, any_free=True)
        shown = assembly.Page(
            "limpet run",
            Known(directory, None, _quiet),
            broker,
            Access(asked.LOOPBACK),
            listens,
            _quiet,
            levers=levers,
            scene=scene.shown,
            # A faster clock runs away from ours: a Command would be over before it is there.
            ttl_s=commanding.TTL_S if speed == 1 else 0,
        )
        with shown:
            yield shown.url, "" if wanted else f"{asked.PORT} is taken"


def _quiet(text: str) -> None:
    """The view says how the broker is."""
