"""First boot: a node without an identity is told it on the console on which it logs.

In either order: Wi-Fi by Improv (improv-wifi.com/serial), which is tried at once, and all the rest,
credentials included, as one line of JSON (first_config.py). A line may name a network itself: that
one is not tried, as it may be where the node is going to be. On a Board that needs no joining the
line is all it takes. Nothing is kept before everything is there.

A Ctrl-C outside a packet is KeyboardInterrupt, as it is on a console at any other time: inside, it
is one of the packet's bytes, and there the chip must not take it for more.

What it is told is never shown, and the radio goes off when it has found out what it had to.
"""

import improv
from micropython import const
from node.config import first_config
from node.shared.errors import ConfigError

# A packet takes 23 ms at 115,200 baud. What stops for longer, or is followed by Ctrl-C, is none.
_PACKET_MS = const(500)
_LINE_MS = const(10_000)
_SAY_MS = const(5_000)  # soon enough for who has just opened the console
_CTRL_C = const(3)


class Provisioning:
    """`heard` every byte, `look` often, until `done`.

    device: firmware, version, chip and name (str), for who asks. network: the Board's. loads: see
    first_config.read. keep(identity, settings, files): makes these stay, the last ones by name, all
    or none; may raise OSError. send(bytes): to the console. A line takes its length, up to 6 KB.
    """

    def __init__(self, device, network, loads, keep, send, log):
        self._device = device
        self._network = network
        self._loads = loads
        self._keep = keep
        self._send = send
        self._log = log
        self._reader = improv.Reader()
        self._line = bytearray()
        self._deaf = False  # to what is left of a packet that went wrong
        self._heard_at = 0
        self._say_at = 0
        self._state = improv.AUTHORIZED
        # What a Board that is in its network by itself never is.
        self._no_wifi = network.cause == "no-ssid"
        self._trying = None
        self._wifi = None
        self._told = None  # values and credentials, from the line
        self.done = False

    def heard(self, byte, now):
        """Take one byte (int) from the console. KeyboardInterrupt when it is a Ctrl-C."""
        if now - self._heard_at > _PACKET_MS:
            self._pause()
        self._heard_at = now
        kind = self._reader.feed(byte)
        if kind == improv.TEXT:
            self._text(byte)
        elif kind == improv.START:
            if not self._deaf:
                self._line = self._line[:-6]
            self._deaf = False
        elif kind == improv.WHOLE:
            self._packet(now)
        elif kind == improv.BAD:
            self._deaf = True
            self._send(improv.error(improv.INVALID_RPC))

    def look(self, now):
        """Do what time asks for. KeyboardInterrupt as above."""
        if now - self._heard_at > _PACKET_MS:
            self._pause()
        if self._line and now - self._heard_at > _LINE_MS:
            self._line = bytearray()
            self._log("config", "line given up, it has no end")
        if self._trying:
            self._join(now)
        elif now >= self._say_at and not (self._line or self._reader.inside):
            self._say_at = now + _SAY_MS
            self._log("config", "missing, waits for " + self._wanted())

    def _wanted(self):
        if self._told:
            return "Wi-Fi by Improv"
        if self._no_wifi and not self._wifi:
            return "Wi-Fi by Improv, and for the rest as one line of JSON"
        return "one line of JSON"

    def _pause(self):
        """Nothing has come for a while: what has begun as a packet is none."""
        self._deaf = False
        # mpremote's way in. It may have met a packet that a client before it left unfinished.
        left = self._reader.inside and b"\r\x03" in self._reader.so_far
        self._reader.clear()
        if left:
            raise KeyboardInterrupt

    def _text(self, byte):
        line_ends = byte == 0x0A or byte == 0x0D
        if self._deaf:
            self._deaf = not line_ends
        elif byte == _CTRL_C:
            raise KeyboardInterrupt
        elif not line_ends:
            # One more: so a longer line is known as such.
            if len(self._line) <= first_config.LINE_MAX:
                self._line.append(byte)
        elif self._line:
            line = bytes(self._line)
            self._line = bytearray()
            self._take(line)

    def _take(self, line):
        self._told = None
        try:
            self._told = first_config.read(line, self._loads)
            self._finish()
        except ConfigError as error:
            self._refuse(error)
        except MemoryError:
            self._refuse(ConfigError("line", "is too long for what memory is left"))

    def _finish(self):
        """Keep the config if all of it is there; else say what is not. ConfigError."""
        if self._trying or not self._told:
            return
        values, files = self._told
        if self._no_wifi and not self._wifi and values.get("wifi_ssid") is None:
            self._say_at = 0
            return
        texts = first_config.complete(values, self._wifi)
        try:
            self._keep(*texts, files)
        except OSError as error:
            self._told = None
            self._log("config", "not kept, flash failed errno=%s" % error.errno)
            return
        self.done = True
        self._log("config", "kept, resets device=" + values["device_id"])

    def _refuse(self, error):
        self._told = None
        self._log("config", "refused field=%s rule=%s" % (error.field, error.text))

    def _packet(self, now):
        if self._reader.type != improv.RPC:
            self._deaf = True  # our own, echoed; or one that lost a byte, and adds up by chance
            return
        try:
            number, data = improv.command(self._reader.data)
        except ValueError:
            self._deaf = True
            self._send(improv.error(improv.INVALID_RPC))
            return
        self._send(improv.error(improv.NO_ERROR))
        if number == improv.CURRENT_STATE:
            self._send(improv.state(self._state))
            if self._state == improv.PROVISIONED:
                self._send(improv.result(number))
        elif number == improv.DEVICE_INFO:
            self._send(improv.result(number, self._device))
        elif number == improv.WIFI_SETTINGS:
            self._try(data, now)
        else:
            self._send(improv.error(improv.UNKNOWN_RPC))

    def _try(self, data, now):
        """Begin to join a network."""
        try:
            ssid, password = improv.texts(data)
        except ValueError:  # of two texts as well
            ssid = None
        if not ssid or first_config.wifi_fault(ssid, password or None):
            self._send(improv.error(improv.INVALID_RPC))
            return
        if self._trying:
            self._network.rejoin(now)
        self._wifi = None
        self._trying = ssid, password or None
        self._network.join(*self._trying)
        self._enter(improv.PROVISIONING)

    def _join(self, now):
        """Go on joining, until it is known how that ends."""
        network = self._network
        if network.due is not None:
            network.run(now)  # sooner than it asks for: somebody waits for the answer
        if network.cause is None:
            self._wifi = self._trying
            self._log("wifi", "joined")
            self._enter(improv.PROVISIONED)
            self._send(improv.result(improv.WIFI_SETTINGS))
        elif network.cause == "starting":
            return
        else:
            self._log("wifi", "not joined cause=" + network.cause)
            self._send(improv.error(improv.UNABLE_TO_CONNECT))
            self._enter(improv.AUTHORIZED)
        self._trying = None
        network.rejoin(now)  # which switches it off until the next try
        try:
            self._finish()
        except ConfigError as error:
            self._refuse(error)

    def _enter(self, state):
        self._state = state
        self._send(improv.state(state))
