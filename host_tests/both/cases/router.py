"""Cases of node/session/router.py: Command in, exactly one Response out."""

import json
import sys

from node.commands import TABLE
from node.commands.processor import OPEN_MAX, OPEN_TIMEOUT_MS
from node.commands.response_cache import ENTRIES, IDS
from node.shared.reading import Reading
from node.shared.unimport import unimport
from support.parts.due import run_due
from support.parts.rig import BASE, HOME, NOW_S, TOPIC, Rig

VALID = (
    b'{"id":"req-1","action":"identify","params":{"seconds":7},'
    b'"ts":1780000000,"ttl":60,"reply_to":"limpet/home/desk/climate/node-1/commands/response/a"}'
)


def case_valid() -> None:
    """A Command with every member is carried out and answered where it asks to be."""
    rig = Rig()
    response = rig.raw(VALID)
    assert response["v"] == 1
    assert response["id"] == "req-1"
    assert response["status"] == "executed"
    assert response["result"] == {"seconds": 7}
    assert response["ts"] == NOW_S
    assert rig.responses[0][0] == HOME + "/a"
    assert rig.responses[0][1].startswith(b'{"v":1,"id":"req-1","status":"executed","result":{')
    assert rig.node.did == [("identify", 7)]
    assert rig.lines == ["id=req-1 action=identify status=executed"]


def case_not_json() -> None:
    """What is not JSON is never carried out, even where MicroPython's own reader would take it."""
    for text in (
        "",
        " ",
        "reboot",
        "{",
        '{"id":"x","action":"reboot"',
        '{"id":"x","action":"reboot",}',
        '{"id":"x","action":"reboot"]',
        '{"id":"x" "action":"reboot"}',
        '{"id":"x","action" "reboot"}',
        '{"id":"x","action":"reboot"}}',
        '{"id":"x","action":"reboot"} {}',
        '{"id":"x","action":"reboot"}\x00',
        '\ufeff{"id":"x","action":"reboot"}',
        "{'id':'x','action':'reboot'}",
        '{id:"x",action:"reboot"}',
        '{"id":"x","action":"reboot","ts":01}',
        '{"id":"x","action":"reboot","ts":1.}',
        '{"id":"x","action":"reboot","ts":+1}',
        '{"id":"x","action":"reboot","ts":NaN}',
        '{"id":"x","action":"reboot","ts":Infinity}',
        '{"id":"x","action":"reboot","ts":0x10}',
        '{"id":"x","action":"reboot","v":tru}',
        '{"id":"x","action":"re\nboot"}',
        '{"id":"x","action":"reb\\qoot"}',
        '{"id":"x","action":"reboot\\u12g4"}',
        '{"id":"x","action":"reboot\\ud800"}',
    ):
        rig = Rig()
        code = rig.code(text.encode())
        assert code == ("not-json" if text.startswith('{"id":"x"') else None), (text, code)
        assert rig.router.dropped == ({} if code else {"not-json": 1})
        assert rig.node.did == []


def case_not_utf8() -> None:
    """Bytes that are no UTF-8 are not JSON either."""
    rig = Rig()
    assert rig.code(b'{"id":"a","action":"reboot\xff"}') == "not-json"
    assert rig.code(b'{"id":"b","action":"reboot","\xc3":1}') == "not-json"
    assert rig.code(b'{"id":"c","action":"reboot"}\xc3\xa9') == "not-json"
    assert rig.node.did == []


def case_not_an_object() -> None:
    """JSON that is no object holds no id that could be answered."""
    rig = Rig()
    for text in ("[]", '["id"]', '"id"', "1", "null", "true", '[{"id":"x","action":"ping"}]'):
        assert rig.code(text.encode()) is None, text
    assert rig.router.dropped == {"not-an-object": 7}
    assert rig.lines[0] == "dropped reason=not-an-object"


def case_id() -> None:
    """An id is 1 to 64 printable ASCII characters; without one there is only a counted drop."""
    rig = Rig()
    assert rig.raw(b'{"action":"ping"}') == {}
    for bad in ("", "a" * 65, "a\n", "\x7f", "é", 5, 1.5, True, None, ["x"], {"id": "x"}):
        assert rig.raw(json.dumps({"id": bad, "action": "ping"}).encode()) == {}, bad
    assert rig.router.dropped == {"no-id": 12}
    for good in ("a", "b" * 64, ' "\\/{}[]:,~', "7"):
        assert rig.send(good, "ping")["id"] == good
    assert rig.lines[-2].startswith('id=_"')


def case_id_before_a_fault() -> None:
    """What cannot be parsed is answered by the outermost, first, plain id before the fault."""
    for start, id in (
        (b'{"id":"a",', "a"),
        (b'{ "x" : {"id":"b"} , "id" : "c" ,', "c"),
        (b'{"x":["id","d"],"id":"e",', "e"),
        (b'{"id":"f","id":"g",', "f"),
        (b'{"id":1,"id":"h",', "h"),
        (b'{"id":"%s",' % (b"i" * 64), "i" * 64),
        (b'{"x":{"id":"b"},', None),
        (b'{"idx":"b","i":"b",', None),
        (b'{"id":"\\u0061",', None),
        (b'{"id":"a\\"b",', None),
        (b'{"id":"caf\xc3\xa9",', None),
        (b'{"id":"",', None),
        (b'{"id":"%s",' % (b"i" * 65), None),
        (b'[{"id":"b"},', None),
    ):
        for end in (b"", b"reboot", b"}", b'"action":"reboot"', b"[" * 99):
            rig = Rig()
            assert rig.raw(start + end).get("id") == id, start + end
            assert rig.node.did == []


def case_too_long() -> None:
    """1024 bytes are read, 1025 are not; the id is still found when it comes early enough."""
    rig = Rig()
    start = b'{"id":"%s","action":"ping"'
    assert rig.raw(start % b"a" + b" " * (1023 - len(start % b"a")) + b"}")["status"] == "executed"
    assert rig.code(start % b"b" + b" " * (1024 - len(start % b"b")) + b"}") == "too-long"
    assert rig.code(start % b"c" + b',"params":{"x":"' + b"y" * 90000 + b'"}}') == "too-long"
    assert rig.code(b'{"params":"' + b"y" * 1010 + b'","id":"d","action":"ping"}') is None
    assert rig.router.dropped == {"too-long": 1}


def case_too_complex() -> None:
    """64 structural characters are read, 65 are not; those inside strings do not count."""
    rig = Rig()
    # 12, and a comma for each element of the list after its first.
    text = b'{"id":"%s","action":"ping","params":{"x":["{}[]:,",%s]}}'
    assert rig.code(text % (b"a", b",".join([b"1"] * 52))) == "bad-params"
    assert rig.code(text % (b"b", b",".join([b"1"] * 53))) == "too-complex"
    assert rig.code(b'{"id":"n","action":"reboot","ts":' + b"9" * 400 + b"}") == "too-complex"
    assert rig.code(b'{"id":"c","x":' + b"[" * 8 + b"]" * 8 + b"}") == "too-complex"
    assert rig.code(b'{"id":"d","x":' + b"[" * 7 + b"]" * 7 + b"}") == "unknown-key"
    for opening in (b"[", b"{", b'{"a":', b'[{"a":'):
        assert rig.code((opening * 1024)[:1024]) is None
    assert rig.node.did == []


def case_duplicate_key() -> None:
    """A name used twice is refused, at any depth: readers differ in which one they take."""
    rig = Rig()
    assert rig.code(b'{"id":"a","action":"reboot","action":"ping"}') == "duplicate-key"
    assert rig.code(b'{"id":"b","id":"c","action":"ping"}') == "duplicate-key"
    assert rig.code(b'{"id":"d","action":"ping","params":{"s":1,"s":1}}') == "duplicate-key"
    assert rig.code(b'{"id":"e","action":"ping","\\u0069d":"f"}') == "duplicate-key"
    assert [json.loads(payload)["id"] for _, payload in rig.responses] == ["a", "b", "d", "e"]


def case_wrong_types() -> None:
    """Each member has one type and a range; whole numbers are no booleans, no floats, no text."""
    rig = Rig()
    number = 0
    for member, code, values in (
        ("action", "bad-action", ("1", "null", "true", "[]", '{"a":1}')),
        ("params", "bad-params", ("1", "null", "[]", '"x"')),
        ("v", "bad-version", ("0", "2", "true", "1.0", '"1"', "null")),
        ("ts", "bad-ts", ("-1", "true", "1.5", "1e3", '"1"', "null", "4294967296", "1e999")),
        ("ttl", "bad-ttl", ("-1", "true", "1.0", '"1"', "null", "2592001", "18446744073709551616")),
        ("reply_to", "bad-reply-to", ("1", "null", "[]", "{}")),
    ):
        for value in values:
            number += 1
            members = {"action": '"ping"', "ts": "1780000000"}
            members[member] = value
            text = f'{{"id":"{number}"'
            for item in members.items():
                text += f',"{item[0]}":{item[1]}'
            assert rig.code((text + "}").encode()) == code, text
    assert rig.code(b'{"id":"x","action":"ping","ttl":60}') == "bad-ttl"
    assert rig.code(b'{"id":"y","action":"ping","TTL":60}') == "unknown-key"
    assert rig.code(b'{"id":"z"}') == "bad-action"
    assert rig.raw(b'{"v":1,"id":"w","action":"ping"}')["status"] == "executed"


def case_reply_to() -> None:
    """A Response goes to the device's own commands/response, one level below it, or not there."""
    rig = Rig()
    for number, topic in enumerate((HOME, HOME + "/a", HOME + "/3f2c-9", HOME + "/" + "x" * 64)):
        assert rig.send(f"ok-{number}", "ping", reply_to=topic)["status"] == "executed"
        assert rig.responses[-1][0] == topic
    for number, topic in enumerate(
        (
            "",
            "/" + HOME,
            BASE,
            BASE + "/status",
            BASE + "/telemetry",
            BASE + "/time",
            TOPIC,
            BASE + "/commands/responses",
            BASE + "/commands/response2/a",
            HOME + "/",
            HOME + "//a",
            HOME + "/a/",
            HOME + "/a/b",
            HOME + "/..",
            HOME + "/../../status",
            HOME + "/+",
            HOME + "/#",
            HOME + "/A",
            HOME + "/a b",
            HOME + "/a\x00",
            HOME + "/\u00e9",
            HOME + "/" + "x" * 65,
            HOME.upper(),
            " " + HOME,
            "limpet/home/desk/climate/node-2/commands/response",
            "limpet/home/desk/climate/node-10/commands/response",
            "$SYS/broker",
        )
    ):
        response = rig.send(f"bad-{number}", "ping", reply_to=topic)
        assert response["status"] == "rejected", topic
        assert response["code"] == "bad-reply-to", topic
        assert rig.responses[-1][0] == HOME


def case_unknown_action() -> None:
    """An unknown action is rejected, and the answer names the known ones."""
    rig = Rig()
    for number, action in enumerate(
        ("", "Ping", "ping ", "__init__", "deferred", "response_cache", "x" * 500)
    ):
        response = rig.send(str(number), action)
        assert response["code"] == "unknown-action"
        for known in TABLE:
            assert known in response["text"]
    assert rig.lines[0] == "id=0 action=? status=rejected"


def case_ttl() -> None:
    """A Command is carried out until its ttl has passed, not a second longer."""
    rig = Rig()
    for number, (age_s, ttl, status) in enumerate(
        (
            (0, 0, "executed"),
            (1, 0, "expired"),
            (60, 60, "executed"),
            (61, 60, "expired"),
            (2592000, 2592000, "executed"),
            (-5000, 10, "executed"),
            (NOW_S, 2592000, "expired"),
        )
    ):
        response = rig.send(str(number), "reboot", ts=NOW_S - age_s, ttl=ttl)
        assert response["status"] == status, (age_s, ttl)
        assert response.get("code") == ("expired" if status == "expired" else None)
    assert rig.node.did == ["reboot"] * 4


def case_clock_not_set() -> None:
    """While the clock is not set a ttl cannot be checked: rejected, and not carried out later."""
    rig = Rig()
    rig.now_s = None
    assert rig.send("a", "ping", ts=NOW_S, ttl=60)["code"] == "clock-not-set"
    response = rig.send("b", "ping", ts=NOW_S)
    assert response["status"] == "executed"
    assert response["ts"] is None
    rig.now_s = NOW_S
    assert rig.send("a", "ping", ts=NOW_S, ttl=60)["code"] == "clock-not-set"
    assert rig.send("c", "ping", ts=NOW_S, ttl=60)["status"] == "executed"


def case_repeated_id() -> None:
    """A repeated id gets the same Response, byte for byte, and nothing is carried out again."""
    rig = Rig()
    rig.raw(VALID)
    rig.now_s = NOW_S + 10_000
    rig.raw(VALID)
    rig.reset()
    rig.raw(VALID)
    assert rig.send("req-1", "reboot", ts=0, ttl=0)["result"] == {"seconds": 7}
    assert rig.send("req-1", "no-such-action")["result"] == {"seconds": 7}
    assert rig.raw(b'{"id":"req-1",')["result"] == {"seconds": 7}
    assert rig.node.did == [("identify", 7)]
    assert len({payload for _, payload in rig.responses}) == 1
    assert [topic for topic, _ in rig.responses] == [HOME + "/a"] * 3 + [HOME] * 3
    assert rig.lines[1] == "id=req-1 action=identify status=repeated"


def case_memory_is_bounded() -> None:
    """The last 64 ids are known, over a reset too, 8 of them with their Responses."""
    assert (IDS, ENTRIES) == (64, 8)  # else the rest would hold of any numbers
    rig = Rig()
    for number in range(IDS + 1):
        rig.send(str(number), "identify")
    rig.reset()
    for number in range(IDS, 0, -1):
        response = rig.send(str(number), "identify")
        assert response["status"] == "executed"
        kept = number > IDS - ENTRIES
        assert response["result"] == ({"seconds": 5} if kept else {"kept": False}), number
    assert len(rig.node.did) == IDS + 1
    rig.send("0", "identify")
    assert len(rig.node.did) == IDS + 2


def _not_wired() -> Exception:
    """A handler's fault, of the class that is loaded now: the router lets go of that, too."""
    from node.shared.errors import CommandError

    return CommandError("sensor", "not wired")


def case_memory_of_what_failed() -> None:
    """A Command whose Response is forgotten is told from one that a reset interrupted."""
    rig = Rig()
    rig.node.fault = _not_wired()
    assert rig.send("bad", "identify")["code"] == "sensor"
    rig.node.fault = None
    _interrupted(rig, "cut")
    for number in range(ENTRIES):
        rig.send(str(number), "identify")
    for _ in range(2):
        for id, code in (("bad", "forgotten"), ("cut", "interrupted")):
            response = rig.send(id, "identify")
            assert (response["status"], response["code"]) == ("failed", code)
        rig.reset()
    assert len(rig.node.did) == ENTRIES


def _interrupted(rig: Rig, id: str) -> None:
    """Have the power go in the middle of a Command."""

    def cut(seconds: int) -> None:
        raise KeyboardInterrupt

    kept, rig.node.identify = rig.node.identify, cut  # type: ignore[method-assign]
    try:
        rig.send(id, "identify")
        raise AssertionError("no cut")
    except KeyboardInterrupt:
        pass
    rig.node.identify = kept  # type: ignore[method-assign]
    rig.reset()


def case_harmless_ones_cost_no_write() -> None:
    """What changes nothing is not written to flash, and pushes out nothing that is."""
    rig = Rig()
    rig.send("good", "identify")
    writes = rig.flash.writes
    for number in range(IDS + 1):
        rig.send(f"p{number}", ("ping", "get_status", "read_now")[number % 3])
        if number % 3 == 2:
            rig.node.callbacks[-1](Reading(7, number, NOW_S, 1, (244, 463)))
            run_due(rig.router, number)
    assert rig.flash.writes == writes
    first = rig.send("again", "get_status")
    rig.node.snapshot = {"up": 6}
    assert rig.send("again", "get_status") == first
    assert rig.send("good", "identify")["result"] == {"seconds": 5}
    rig.reset()
    assert rig.send("again", "get_status")["result"] == {"up": 6}
    assert rig.node.did.count(("identify", 5)) == 1


def case_no_room_for_a_response() -> None:
    """While its Response would push out one that has not left, a Command is not carried out."""
    rig = Rig()
    rig.free = 1
    assert rig.send("a", "read_now") == {}
    assert rig.send("b", "identify") == {}
    rig.free = 2
    assert rig.send("c", "identify")["status"] == "executed"
    assert rig.router.dropped == {"no-room": 1}
    assert rig.node.did == ["read_now", ("identify", 5)]
    rig.node.snapshot = {"text": "x" * 600}
    rig.room = lambda count, size: size <= 512  # type: ignore[method-assign]
    assert rig.send("d", "get_status")["result"] == {"kept": False}


def case_refused_ones_push_nothing_out() -> None:
    """Bad Commands cost no write to flash, and a flood of them forgets no executed one."""
    rig = Rig()
    rig.send("good", "reboot")
    writes = rig.flash.writes
    for number in range(3 * ENTRIES):
        rig.send(str(number), "reboot", params={"now": 1})
        rig.send(f"late-{number}", "reboot", ts=1, ttl=1)
        rig.raw(b'{"id":"cut-%d",' % number)
    assert rig.flash.writes == writes
    assert rig.send("good", "reboot")["status"] == "executed"
    assert rig.node.did == ["reboot"]


def case_reset_before_the_response() -> None:
    """After a reset in the middle of a Command its repeat is `failed`, and not carried out."""
    rig = Rig()
    _interrupted(rig, "a")
    for _ in range(2):
        response = rig.send("a", "identify")
        assert (response["status"], response["code"]) == ("failed", "interrupted")
        rig.reset()
    assert rig.node.did == []


def case_reboot() -> None:
    """The id is on flash before a reboot is asked for, its Response before it is put."""
    rig = Rig()
    seen = []

    def look() -> None:
        seen.append(dict(rig.flash.files))

    rig.node.reboot = look  # type: ignore[method-assign]
    put = rig.put

    def put_and_look(topic: str, payload: bytes) -> int:
        look()
        return put(topic, payload)

    rig.put = put_and_look  # type: ignore[method-assign]
    assert rig.send("again", "reboot")["status"] == "executed"
    assert len(seen[0]["own/commands.ids"]) == 4 + 8
    assert "own/commands.bin" not in seen[0]
    assert b"executed" in seen[1]["own/commands.bin"]
    rig.reset()
    assert rig.send("again", "reboot")["status"] == "executed"
    assert len(seen) == 3  # two of the first, one of the second's put


def case_failing_handler() -> None:
    """A handler's CommandError is `failed` with its code; a bug is reported and says nothing."""
    rig = Rig()
    rig.node.fault = _not_wired()
    response = rig.send("a", "get_status")
    assert (response["status"], response["code"]) == ("failed", "sensor")
    assert rig.bugs == []
    for number, fault in enumerate((KeyError("hunter2"), TypeError("hunter2"), OSError(5))):
        rig.node.fault = fault
        response = rig.send(str(number), "get_status")
        assert (response["status"], response["code"]) == ("failed", "internal")
        assert rig.bugs[-1] is fault
    rig.node.fault = None
    assert rig.send("0", "get_status")["code"] == "internal"
    assert rig.send("b", "get_status")["status"] == "executed"
    assert b"hunter2" not in b"".join(payload for _, payload in rig.responses)
    assert "hunter2" not in "".join(rig.lines)


def case_failing_import() -> None:
    """A Command whose file cannot be loaded is `failed`, too, and the bug reported."""
    rig = Rig()

    sys.modules["node.commands.ping"] = object()  # type: ignore[assignment]
    try:
        response = rig.send("a", "ping")
    finally:
        del sys.modules["node.commands.ping"]
    assert (response["status"], response["code"]) == ("failed", "internal")
    assert len(rig.bugs) == 1
    assert rig.send("b", "ping")["status"] == "executed"


def case_failing_neighbour() -> None:
    """No exception leaves on_message: a bug anywhere below it is reported."""
    rig = Rig()
    rig.put = None  # type: ignore[assignment, method-assign]
    rig.router.on_message(TOPIC, VALID, False, False)
    assert len(rig.bugs) == 1


def case_flash_full() -> None:
    """Without a place for its id a Command is not carried out, and says so."""
    rig = Rig()
    rig.flash.full = True
    response = rig.send("a", "reboot")
    assert (response["status"], response["code"]) == ("failed", "flash")
    assert rig.node.did == []
    rig.flash.full = False
    assert rig.send("b", "reboot")["status"] == "executed"


def case_heap_full() -> None:
    """Without heap for the file a Command is not carried out, says so, and is no bug."""
    rig = Rig()
    memory = sys.modules["node.commands.response_cache"].__dict__
    kept = memory["seal"]

    def no_room(each: object) -> bytes:
        raise MemoryError

    memory["seal"] = no_room
    try:
        response = rig.send("a", "reboot")
    finally:
        memory["seal"] = kept
    assert (response["status"], response["code"]) == ("failed", "flash")
    assert rig.node.did == rig.bugs == []
    assert rig.send("b", "reboot")["status"] == "executed"
    rig.node.fault = MemoryError()
    response = rig.send("c", "reboot")
    assert (response["status"], response["code"]) == ("failed", "memory")
    assert rig.bugs == []


def case_no_memory_for_what_answers() -> None:
    """Without heap for the code that answers, a Command is told so by its id, and it is no bug."""
    rig = Rig()

    class Full:
        """A module that there is no heap for."""

        def __getattr__(self, name: str) -> object:
            raise MemoryError

    with _Modules():
        unimport("node.commands", "node.session.shortage")
        sys.modules["node.commands.processor"] = Full()  # type: ignore[assignment]
        response = rig.raw(b'{"id":"a","action":"reboot"}')
        assert (response["status"], response["code"]) == ("failed", "memory")
        for unread in (
            b'{"action":"reboot","id":"b"}',
            b'{"id":"b',
            b'{"id":""}',
            b'{"id":"\xff"}',
            b'{"id":"' + b"b" * 65 + b'"}',
            b'{"id":"b\\""}',
            b"",
        ):
            sys.modules["node.commands.processor"] = Full()  # type: ignore[assignment]
            assert rig.raw(unread) == {}, unread
        sys.modules["node.commands.processor"] = Full()  # type: ignore[assignment]
        rig.free = 0
        assert rig.raw(b'{"id":"c","action":"reboot"}') == {}
        rig.free = 9
        assert rig.router.dropped == {"memory": 9}
        assert rig.lines == ["dropped reason=memory"] * 9
        assert rig.bugs == []
        assert "node.session.shortage" not in sys.modules
        assert rig.send("a", "reboot")["status"] == "executed"


def case_flash_full_halfway() -> None:
    """A Response that flash does not take is sent all the same, and repeated from RAM."""
    rig = Rig()

    def fill(seconds: int) -> None:
        rig.flash.full = True

    rig.node.identify = fill  # type: ignore[method-assign]
    assert rig.send("a", "identify")["status"] == "executed"
    assert rig.lines[0] == "response not on flash errno=28"
    assert rig.send("a", "identify")["status"] == "executed"
    rig.reset()
    rig.flash.full = False
    assert rig.send("a", "identify")["code"] == "interrupted"


def case_read_now() -> None:
    """read_now is answered once, when the Reading has come; its repeat in between is dropped."""
    rig = Rig()
    assert rig.send("a", "read_now") == {}
    assert rig.send("a", "read_now") == {}
    assert rig.router.dropped == {"pending": 1}
    assert rig.send("b", "ping")["status"] == "executed"
    run_due(rig.router, 1000)
    assert rig.router.due == 1000 + OPEN_TIMEOUT_MS
    rig.node.callbacks[0](Reading(7, 42, None, 12, (-41, 1000)))
    run_due(rig.router, 2000)
    response = json.loads(rig.responses[-1][1])
    assert response["id"] == "a"
    result = response["result"]
    assert [result[name] for name in ("boot", "seq", "ts")] == [7, 42, None]
    assert (result["temperature"], result["humidity"]) == (-4.1, 100.0)
    rig.node.callbacks[0](Reading(7, 43, None, 12, (0, 0)))
    run_due(rig.router, 3000)
    assert len(rig.responses) == 2
    assert rig.send("a", "read_now") == response
    assert rig.node.did == ["read_now"]


def case_read_now_times_out() -> None:
    """A Reading that does not come within 10 s is `failed`: timeout; one after it is ignored."""
    rig = Rig()
    rig.send("a", "read_now")
    run_due(rig.router, 5)
    assert not run_due(rig.router, 5 + OPEN_TIMEOUT_MS - 1)
    assert rig.responses == []
    run_due(rig.router, 5 + OPEN_TIMEOUT_MS)
    response = json.loads(rig.responses[0][1])
    assert (response["status"], response["code"]) == ("failed", "timeout")
    rig.node.callbacks[0](Reading(7, 42, None, 12, (0, 0)))
    run_due(rig.router, 99999)
    assert len(rig.responses) == 1


def case_read_now_is_bounded() -> None:
    """Four Commands wait for their results, a fifth is told that the node is busy."""
    rig = Rig()
    for number in range(OPEN_MAX):
        assert rig.send(str(number), "read_now") == {}
    response = rig.send("e", "read_now")
    assert (response["status"], response["code"]) == ("failed", "busy")
    for number in range(2 * ENTRIES):
        rig.send(f"p{number}", "ping")
    assert rig.send("0", "read_now") == {}
    for callback in rig.node.callbacks:
        callback(Reading(7, 1, NOW_S, 1, (244, 463)))
    before = len(rig.responses)
    run_due(rig.router, 0)
    assert len(rig.responses) == before + OPEN_MAX
    assert [json.loads(payload)["id"] for _, payload in rig.responses[before:]] == list("0123")


def case_retained() -> None:
    """A retained Command is rejected; by a setting it is carried out, once."""
    rig = Rig(refuse_retained=False)
    assert rig.raw(VALID, retained=True)["status"] == "executed"
    rig.raw(VALID, retained=True)
    assert rig.node.did == [("identify", 7)]
    rig = Rig()
    assert rig.raw(VALID, retained=True)["code"] == "retained"
    assert rig.node.did == []
    assert rig.send("a", "ping")["status"] == "executed"


def case_foreign_topic() -> None:
    """What did not come on the device's own topic is dropped, counted, and loads no code."""
    rig = Rig()
    with _Modules():
        unimport("node.commands")
        for topic in (HOME, BASE, "limpet/home/desk/climate/node-2/commands", "", TOPIC + "/"):
            assert rig.raw(VALID, topic=topic) == {}
        assert not _loaded()
    assert rig.router.dropped == {"foreign-topic": 5}
    assert rig.lines == ["dropped reason=foreign-topic"] * 5


def case_truncated() -> None:
    """No prefix of a Command is carried out; with its id in it, it is answered."""
    start = VALID.find(b',"action"')
    for end in range(len(VALID)):
        rig = Rig()
        response = rig.raw(VALID[:end])
        assert response.get("code") == ("not-json" if end >= start else None), VALID[:end]
        assert rig.node.did == []
        assert rig.bugs == []


def case_mutated() -> None:
    """Whatever bit is flipped or byte lost: no exception, one answer at most, nothing foreign."""
    mutants = [VALID[:at] + VALID[at + 1 :] for at in range(len(VALID))]
    for at in range(len(VALID)):
        for bit in range(8):
            mutants.append(VALID[:at] + bytes([VALID[at] ^ 1 << bit]) + VALID[at + 1 :])
    executed = 0
    for mutant in mutants:
        rig = Rig()
        response = rig.raw(mutant)
        assert rig.bugs == [], mutant
        assert len(rig.responses) + sum(rig.router.dropped.values()) == 1, mutant
        assert bool(rig.node.did) == (response.get("status") == "executed"), mutant
        if rig.node.did:
            executed += 1
            assert json.loads(mutant)["action"] == "identify"
            assert rig.node.did[0] in [("identify", seconds) for seconds in range(1, 61)]
    assert 0 < executed < len(mutants) // 4


class _Modules:
    """Puts the modules back that a case lets go of: other cases hold what is in them."""

    def __enter__(self) -> None:
        self._kept = {name: sys.modules[name] for name in list(sys.modules)}

    def __exit__(self, *_: object) -> None:
        unimport("node.commands", "node.shared.strictjson", "node.shared.topic_rules")
        for name, module in self._kept.items():
            sys.modules[name] = module


def _loaded() -> bool:
    return "node.commands" in sys.modules


def case_idle_lets_go() -> None:
    """A minute after the last Command what answers it is let go of; ids are remembered."""
    rig = Rig()
    assert rig.router.due is None
    with _Modules():
        rig.send("good", "reboot")
        rig.send("bad", "no-such-action")
        run_due(rig.router, 1000)
        assert not run_due(rig.router, 60_999)
        assert _loaded()
        run_due(rig.router, 61_000)
        assert not _loaded()
        assert "node.shared.strictjson" not in sys.modules
        assert rig.send("good", "reboot")["status"] == "executed"
        assert rig.send("bad", "reboot")["code"] == "unknown-action"
        assert rig.node.did == ["reboot"]
        assert _loaded()


def case_open_ones_keep_it() -> None:
    """Nothing is let go of while a result is to come, or while flash lacks a Response."""
    rig = Rig()
    with _Modules():
        rig.send("a", "ping")
        run_due(rig.router, 0)
        rig.send("b", "read_now")
        rig.router._until = 0
        run_due(rig.router, 59_999)
        assert _loaded()
        rig.router._until = None
        run_due(rig.router, 59_999 + OPEN_TIMEOUT_MS)
        assert rig.send("b", "read_now")["code"] == "timeout"

        def fill(seconds: int) -> None:
            rig.flash.full = True

        kept, rig.node.identify = rig.node.identify, fill  # type: ignore[method-assign]
        assert rig.send("c", "identify")["status"] == "executed"
        rig.node.identify = kept  # type: ignore[method-assign]
        run_due(rig.router, 100_000)
        run_due(rig.router, 160_000)
        assert _loaded()
        rig.flash.full = False
        rig.send("d", "identify")
        run_due(rig.router, 200_000)
        run_due(rig.router, 260_000)
        assert not _loaded()
