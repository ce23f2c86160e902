"""device/wifi.py against a driver that is written by hand and stricter than the chip's."""

from __future__ import annotations

from support.micropython.upy import run
from support.parts.wifi_driver import DRIVER


def joined(script: str) -> str:
    """What `script` prints with such a driver at hand."""
    return run(DRIVER + script)


def test_nothing_is_touched_before_join() -> None:
    """Without a network to join the driver is left alone, and the cause says so."""
    assert joined("print(go(60000), wifi.cause, wifi.rssi(), air.made)") == (
        "False no-ssid None 0\n"
    )


def test_join_comes_up_and_shows_its_signal() -> None:
    """The first step asks to connect; from the moment the driver has an address, it is usable."""
    script = """
wifi.join("beach", "shells")
print(go(3000), wifi.cause, air.calls)
air.lets_in()
print(look_now(), wifi.cause, wifi.rssi())
"""
    assert joined(script) == ("False starting [(0, 'beach', 'shells')]\nTrue None -61\n")


def test_causes_are_named() -> None:
    """Each way of not getting in has its name once the time for joining is over."""
    script = """
for reason in (201, 202, 204, 15, 0, 39):
    air = Air()
    wifi = Wifi(air)
    now = 0
    wifi.join("beach", None)
    go(3000)
    air.reason = reason
    go(21000)
    print(wifi.cause)
"""
    assert joined(script).split() == [
        "no-ap", "wrong-password", "wrong-password", "wrong-password", "timeout", "timeout",
    ]  # fmt: skip


def test_failed_join_is_tried_again_and_forgotten_on_success() -> None:
    """20 s to join, 5 s of rest, and again; the stale reason in the driver ends no new attempt."""
    script = """
wifi.join("beach", "shells")
air.reason = 201
go(51000)
print([call[0] for call in air.calls if call[1] == "beach"])
air.lets_in()
print(look_now(), wifi.cause)
"""
    assert joined(script) == "[0, 25000, 50000]\nTrue None\n"


def test_lost_network_gets_the_drivers_own_tries_first() -> None:
    """A network that goes is `lost`; if the driver does not bring it back, it is joined anew."""
    script = """
wifi.join("beach", "shells")
go(400)
air.lets_in()
go(1200)
air.goes()
print(go(11200), wifi.cause, wifi.rssi())  # looked at each 10 s while there is one
air.lets_in()
print(go(12200), wifi.cause)
air.goes()
go(70000)
print([call[0] for call in air.calls])
"""
    # Lost at 22.0 s, given up at 42.0 s, joined anew at 47.0 s, given up at 67.0 s.
    assert joined(script).splitlines() == [
        "False lost None",
        "True None",
        "[0, 42000, 47000, 67000]",
    ]


def test_driver_errors_are_a_cause_and_no_end() -> None:
    """A driver that raises is asked again 5 s later, and Wi-Fi goes on."""
    script = """
air.trying = True
wifi.join("beach", "shells")
go(1000)
print(wifi.cause)
air.trying = False
go(6000)
air.lets_in()
print(look_now())
air.linked = False          # gone between step and rssi
print(wifi.rssi())
"""
    assert joined(script) == "driver\nTrue\nNone\n"


def test_rejoin_starts_from_the_radio() -> None:
    """A network that is there by the driver's word alone is left, and joined at the next step."""
    script = """
wifi.join("beach", "shells")
go(400)
air.lets_in()
go(1000)
wifi.rejoin(now)
print(air.is_active, wifi.cause, wifi.rssi())
print(go(1400), air.is_active, air.calls)
air.lets_in()
print(look_now(), wifi.cause)
"""
    assert joined(script).splitlines() == [
        "False rejoining None",
        "False True [(0, 'beach', 'shells'), (1000, 'disconnect'), (1000, 'beach', 'shells')]",
        "True None",
    ]


def test_rejoin_outlives_a_driver_that_raises() -> None:
    """What leaving raises is nobody's; what joining raises is the cause."""
    script = """
wifi.join("beach", "shells")
go(400)
air.lets_in()
go(1000)
def raises(*_):
    raise OSError("Wifi Internal Error")
air.disconnect = air.active = raises
wifi.rejoin(now)
air.linked = False
print(go(1400), wifi.cause)
"""
    assert joined(script) == "False driver\n"


def test_password_is_shown_nowhere() -> None:
    """Neither the object's text nor anything printed holds the password."""
    script = """
wifi.join("beach", "shells")
air.reason = 202
go(60000)
print(repr(wifi), str(wifi), wifi.cause)
"""
    assert "shells" not in joined(script)
