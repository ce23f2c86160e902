"""The chip's `network` on the virtual board: one station, and the access points that the test has
put up in VIRTUAL_AIR, each a line `ssid<tab>password`, without a password an open one.

As MicroPython 1.29's network_wlan.c has it: the reason of a failure stays in status() until the
next success, connect() while connecting is an error, and disconnect() ends everything. The network
behind an access point is the laptop's own.
"""

import os

import utime

STA_IF = 0
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_BEACON_TIMEOUT = 200
STAT_HANDSHAKE_TIMEOUT = 204

_TAKES_MS = 60


class _Station:
    """The radio; there is one."""

    _active = False
    _tried_at = None  # ticks; None: not trying
    _wanted = None
    _linked = False
    _reason = 0

    def active(self, on=None):
        """Whether the radio is on, or switch it."""
        if on is not None:
            self._active = on
            if not on:
                self._tried_at, self._linked = None, False
        return self._active

    def connect(self, ssid=None, password=None):
        """Begin to join."""
        if not self._active or self._tried_at is not None or self._linked:
            raise OSError("Wifi Internal Error")
        self._wanted = (ssid, password)
        self._tried_at = utime.ticks_ms()

    def disconnect(self):
        """Leave, or stop trying."""
        if not self._active:
            raise OSError("Wifi Not Started")
        self._tried_at, self._linked = None, False

    def isconnected(self):
        """Whether there is an address."""
        self._look()
        return self._linked

    def status(self, what=None):
        """How far it has come, or the signal: "rssi"."""
        self._look()
        if what == "rssi":
            if not self._linked:
                raise OSError("Wifi Not Connected")
            return -61
        if self._linked:
            return STAT_GOT_IP
        if self._reason:
            return self._reason
        return STAT_IDLE if self._tried_at is None else STAT_CONNECTING

    def ifconfig(self):
        """Address, mask, gateway and DNS."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def _look(self):
        if self._tried_at is None or self._linked:
            return
        if utime.ticks_diff(utime.ticks_ms(), self._tried_at) < _TAKES_MS:
            return
        ssid, password = self._wanted
        for line in (os.getenv("VIRTUAL_AIR") or "").split("\n"):
            name, _, secret = line.partition("\t")
            if name and name == ssid:
                if secret != (password or ""):
                    self._reason = STAT_WRONG_PASSWORD
                    return
                self._linked, self._reason, self._tried_at = True, 0, None
                return
        self._reason = STAT_NO_AP_FOUND


_station = _Station()


def WLAN(interface):
    """The station, however often it is asked for."""
    if interface != STA_IF:
        raise ValueError("not a station")
    return _station
