"""The levers of `limpet run`, pulled over its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import device_config
from support.brokers.running import fields
from support.fleets import fleet
from support.page_visitor import Visitor
from support.tool import Tool


@pytest.mark.long
def test_levers_over_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slider shows in the next Readings, over a power cut as well; what is none is refused with a
    remedy. In the end the device looks for its broker where that was, and nothing is left behind.
    """
    root, other = fleet(tmp_path / "fleet"), tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("TMPDIR", str(other))
    open_setup(root).device(fields("node-1") | {"interval_s": 2})
    flash = root / "devices" / "node-1"
    with Tool("run", "--fleet", root) as tool:
        page = re.search(r"page +(http://\S+)", tool.wait_for("try  "))
        assert page
        port = int(tool.text.partition("broker   127.0.0.1:")[2].partition(",")[0])
        assert device_config.read(flash)["port"] != port
        visitor = Visitor(page[1])
        with visitor.live() as live:
            hello = live.until(lambda frame: frame["t"] == "hello")
            names = {each["name"] for each in hello["levers"]}
            assert {"dht22-temperature", "dht22-unplugged", "network", "power"} <= names

            def pull(name: str, value: Any) -> int:
                return visitor.post(f"/api/levers/{name}", {"value": value}).status

            assert pull("dht22-temperature", 61.5) == 200
            live.until(
                lambda frame: (
                    frame["t"] == "levers"
                    and any(each["value"] == 61.5 for each in frame["levers"])
                )
            )
            tool.wait_for("reading  61.5 °C")
            assert (pull("dht22-temperature", 99), pull("network", "on"), pull("x", True)) == (
                400,
                400,
                404,
            )
            boot = int(tool.text.partition("online boot ")[2].split()[0])
            assert pull("power", True) == 200
            text = tool.wait_for(f"online boot {boot + 1} ")
            tool.wait_for(lambda now: "reading  61.5 °C" in now[len(text) :])
        tool.interrupt()
        assert tool.end() == 0, tool.text
    assert "last status: offline shutdown." in tool.text
    assert device_config.read(flash)["port"] == port
    assert list(other.iterdir()) == []
