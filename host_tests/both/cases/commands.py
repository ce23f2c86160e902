"""Cases of node/commands: what each Command does, and the memory of them."""

import json

from node.commands import TABLE
from node.commands.deferred import Deferred
from node.commands.response_cache import ENTRIES, IDS, RESPONSE_MAX, ResponseCache
from support.parts.rig import Flash, Rig


def case_ping() -> None:
    """ping does nothing and says so."""
    rig = Rig()
    assert rig.send("a", "ping")["result"] == {}
    assert rig.node.did == []


def case_get_status() -> None:
    """get_status gives the health snapshot."""
    rig = Rig()
    assert rig.send("a", "get_status")["result"] == {"up": 5, "reads": 3}


def case_set_interval() -> None:
    """set_interval takes 2 to 86400 whole seconds, the range of the config."""
    rig = Rig()
    for seconds in (2, 30, 86400):
        result = rig.send(f"ok-{seconds}", "set_interval", params={"seconds": seconds})["result"]
        assert result == {"seconds": seconds}
    wrong: tuple[object, ...] = (1, 0, -2, 86401, 2**64, 2.0, True, "30", None, [30], {})
    for number, bad in enumerate(wrong):
        response = rig.send(f"bad-{number}", "set_interval", params={"seconds": bad})
        assert (response["status"], response["code"]) == ("rejected", "bad-params"), bad
    assert rig.send("none", "set_interval")["code"] == "bad-params"
    assert rig.node.did == [("set_interval", 2), ("set_interval", 30), ("set_interval", 86400)]


def case_set_interval_not_kept() -> None:
    """An interval that flash does not take is `failed`, not a bug."""
    rig = Rig()
    rig.node.fault = OSError(28)
    response = rig.send("a", "set_interval", params={"seconds": 30})
    assert (response["status"], response["code"]) == ("failed", "flash")
    assert rig.bugs == []


def case_set_interval_too_short_for_a_sensor() -> None:
    """What the slowest sensor does not allow is refused, and is no bug."""
    rig = Rig()
    rig.node.sampler.pace_ms = 5000
    response = rig.send("a", "set_interval", params={"seconds": 4})
    assert (response["status"], response["code"]) == ("failed", "too-short")
    assert rig.send("b", "set_interval", params={"seconds": 5})["status"] == "executed"
    assert rig.node.did == [("set_interval", 5)]


def case_identify() -> None:
    """identify takes 1 to 60 s, 5 unless said."""
    rig = Rig()
    assert rig.send("a", "identify")["result"] == {"seconds": 5}
    assert rig.send("b", "identify", params={"seconds": 1})["status"] == "executed"
    assert rig.send("c", "identify", params={"seconds": 60})["status"] == "executed"
    for number, bad in enumerate((0, 61, -1, 1.0, True, None, "5")):
        response = rig.send(str(number), "identify", params={"seconds": bad})
        assert response["code"] == "bad-params", bad
    assert rig.node.did == [("identify", 5), ("identify", 1), ("identify", 60)]


def case_unknown_params() -> None:
    """Every Command rejects a parameter that it does not know."""
    rig = Rig()
    for action in TABLE:
        response = rig.send(action, action, params={"seconds": 10, "secs": 10})
        assert (response["status"], response["code"]) == ("rejected", "bad-params"), action
    assert rig.node.did == []


def case_later() -> None:
    """The first outcome of a Deferred stands."""
    later = Deferred()
    assert later.outcome is None
    later.done({"a": 1})
    later.failed("timeout", "too late")
    later.done({})
    assert later.outcome == ({"a": 1}, None, None)


def case_long_response() -> None:
    """A Response over 512 bytes is sent whole and remembered in short."""
    rig = Rig()
    rig.node.snapshot = {"text": "x" * RESPONSE_MAX}
    assert len(rig.send("a", "get_status")["result"]["text"]) == RESPONSE_MAX
    repeated = rig.send("a", "get_status")
    assert repeated["status"] == "executed"
    assert repeated["result"] == {"kept": False}
    assert rig.node.did == ["status"]


def case_memory_file() -> None:
    """The file holds 8 of the longest entries, and all come back."""
    flash = Flash()
    memory = ResponseCache("m", flash.read, flash.replace)
    ids = [str(number) * 64 for number in range(ENTRIES)]
    for id in ids:
        memory.begin(id)
        memory.finish(id, id.encode() * 8)
    again = ResponseCache("m", flash.read, flash.replace)
    for id in ids:
        assert again.response(id) == id.encode() * 8
    assert len(flash.files["m.bin"]) == 4 + ENTRIES * (3 + 64 + RESPONSE_MAX)
    assert flash.writes == 2 * ENTRIES
    for number in range(IDS):
        memory.begin(str(number))
    assert len(flash.files["m.ids"]) == 4 + IDS * 8


def case_memory_damaged() -> None:
    """A file that was cut or has a wrong bit counts as an empty one, and the other one speaks."""
    flash = Flash()
    memory = ResponseCache("m", flash.read, flash.replace)
    for id in ("a", "bc"):
        memory.begin(id)
        memory.finish(id, json.dumps({"id": id}).encode())
    files = dict(flash.files)
    for name in files:
        whole = files[name]
        damaged = [whole[:end] for end in range(len(whole))] + [whole + b"\x00", whole * 200]
        for at in range(len(whole)):
            damaged.append(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        for data in damaged:
            flash.files = dict(files)
            flash.files[name] = data
            again = ResponseCache("m", flash.read, flash.replace)
            assert (again.response("a") is None) == (name == "m.bin")
            assert "bc" in again
            del flash.files["m.bin" if name == "m.ids" else "m.ids"]
            again = ResponseCache("m", flash.read, flash.replace)
            assert "a" not in again
            assert "bc" not in again
    flash.files = files
    assert "a" in ResponseCache("m", flash.read, flash.replace)


def case_memory_of_hashes() -> None:
    """A hash is looked for as a whole: what lies across two of them is none."""
    flash = Flash()
    memory = ResponseCache("m", flash.read, flash.replace)
    for number in range(IDS):
        memory.begin(str(number))
    whole = memory._seen
    for at in range(len(whole) - 7):
        assert (memory._at(whole[at : at + 7]) is not None) == (at % 8 == 0)
    assert all(memory.failed(str(number)) is None for number in range(IDS))


def case_memory_unreadable() -> None:
    """Flash that cannot be read remembers nothing, and stops nothing."""

    def read(path, how=None):  # type: ignore[no-untyped-def]
        raise OSError(5)

    assert "a" not in ResponseCache("m", read, Flash().replace)


def case_memory_not_kept() -> None:
    """An id that flash does not take is not remembered, and the older ones stay."""
    flash = Flash()
    memory = ResponseCache("m", flash.read, flash.replace)
    for number in range(IDS):
        memory.begin(str(number))
    flash.full = True
    try:
        memory.begin("new")
        raise AssertionError("no OSError")
    except OSError:
        pass
    assert "new" not in memory
    assert all(str(number) in memory for number in range(IDS))
    flash.full = False
    memory.begin("new")
    assert "new" in memory
    assert "0" not in memory
