"""Wi-Fi as a station, joined and joined again without ever waiting for it.

The password is handed to the driver, and never logged. The module `network` is passed in.

The driver is believed only where it is reliable (MicroPython 1.23 to 1.29, network_wlan.c): it is
connected or it is not. Its status keeps the reason of the failure before until the next success,
so it is read once, when the time for joining is over.
"""

from micropython import const

# Authentication, association and DHCP of a weak access point; most take 3 s.
_JOIN_MS = const(20_000)
# Short: the time for joining spaces attempts out already, and the driver is asked for nothing else.
_WAIT_MS = const(5_000)
# How often the driver is asked whether there is a network: while there is none, and while there is.
_LOOK_MS = const(1_000)
_CHECK_MS = const(10_000)

# IEEE 802.11 reason code: the four-way handshake timed out, which is how many access points answer
# a wrong password. `network` has no name for it.
_FOUR_WAY_TIMEOUT = const(15)

_CAUSES = (
    ("STAT_NO_AP_FOUND", "no-ap"),
    ("STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD", "no-ap"),
    ("STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD", "security"),
    ("STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "security"),
    ("STAT_WRONG_PASSWORD", "wrong-password"),
    ("STAT_HANDSHAKE_TIMEOUT", "wrong-password"),
)


class Wifi:
    """A station, and a part (see node/shared/message.py). `network` is the module of that name;
    nothing is done with it before `join`.

    `cause` is None while there is a network, else one of no-ssid, starting, lost, rejoining, no-ap,
    security, wrong-password, timeout and driver.
    """

    def __init__(self, network):
        self._network = network
        self._wlan = None
        self._joining = False
        self._until = 0  # when joining, or waiting to join again, is over
        self.cause = "no-ssid"
        self.due = None

    def join(self, ssid, password):
        """From now on, be in the network `ssid`; `password` is None for an open one."""
        network = self._network
        self._ssid = ssid
        self._password = password
        self._causes = {_FOUR_WAY_TIMEOUT: "wrong-password"}
        for name, cause in _CAUSES:
            if hasattr(network, name):  # older firmware lacks some of the names
                self._causes[getattr(network, name)] = cause
        self._wlan = network.WLAN(network.STA_IF)
        self.cause = "starting"
        self.due = 0

    def run(self, now):
        """Do what can be done without waiting: `cause` says what has become of it."""
        self.due = now + _LOOK_MS
        if self._wlan.isconnected():
            self.cause = None
            self._joining = False
            self.due = now + _CHECK_MS
            return
        if self.cause is None:
            # Was up. The driver tries again by itself; it gets as long as a join of our own.
            self.cause = "lost"
            self._joining = True
            self._until = now + _JOIN_MS
        elif now >= self._until:
            if self._joining:
                self._give_up(now)
            else:
                self._connect(now)

    def rejoin(self, now):
        """Leave the network, switch the radio off, and join from the start: for a network that is
        there by the driver's word alone.
        """
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it is being left in any case
        try:
            self._wlan.active(False)
        except OSError:
            pass  # then joining again will raise too, and be the cause
        self.cause = "rejoining"
        self._joining = False
        self._until = self.due = now

    def rssi(self):
        """Signal strength in dBm, or None while there is no network."""
        if self.cause is not None:
            return None
        try:
            return self._wlan.status("rssi")
        except OSError:
            return None  # it has gone since the last look

    def _connect(self, now):
        try:
            self._wlan.active(True)
            self._wlan.connect(self._ssid, self._password)
        except OSError:
            self.cause = "driver"
            self._until = now + _WAIT_MS
            return
        self._joining = True
        self._until = now + _JOIN_MS

    def _give_up(self, now):
        status = self._wlan.status()
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # there was nothing to break off
        if status == self._network.STAT_CONNECTING:
            # It was between two tries of its own; only now does it say how the last one ended.
            status = self._wlan.status()
        self.cause = self._causes.get(status, "timeout")
        self._joining = False
        self._until = now + _WAIT_MS
