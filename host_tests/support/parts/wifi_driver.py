"""A Wi-Fi driver for device/wifi.py, written by hand and stricter than the chip's."""

# The driver as MicroPython 1.29's network_wlan.c has it: the reason of a failure stays in status()
# until the next success, connect() while connecting is an error, and disconnect() ends everything.
DRIVER = """
from device.wifi import Wifi

class Air:
    STA_IF = 0
    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010
    STAT_NO_AP_FOUND = 201
    STAT_WRONG_PASSWORD = 202
    STAT_HANDSHAKE_TIMEOUT = 204
    made = 0

    def WLAN(self, interface):
        if interface != self.STA_IF:
            raise ValueError("not a station")
        self.made += 1
        return self

    def __init__(self):
        self.calls = []
        self.is_active = self.trying = self.linked = False
        self.reason = 0
        self.signal = -61

    def active(self, on):
        self.is_active = on

    def connect(self, ssid, password):
        if not self.is_active or self.trying or self.linked:
            raise OSError("Wifi Internal Error")
        self.calls.append((now, ssid, password))
        self.trying = True

    def disconnect(self):
        if not self.is_active:
            raise OSError("Wifi Not Started")
        self.calls.append((now, "disconnect"))
        self.trying = self.linked = False

    def isconnected(self):
        return self.linked

    def status(self, what=None):
        if what == "rssi":
            if not self.linked:
                raise OSError("Wifi Not Connected")
            return self.signal
        if self.linked:
            return self.STAT_GOT_IP
        if self.reason in (201, 202):
            return self.reason
        if self.trying:
            return self.STAT_CONNECTING
        return self.reason or self.STAT_IDLE

    # What happens in the air.
    def lets_in(self):
        if not self.trying:
            raise ValueError("nobody asked")
        self.linked, self.reason = True, 0

    def goes(self):
        self.linked, self.reason = False, 200

now = 0
air = Air()
wifi = Wifi(air)

def go(until):
    global now
    while now < until:
        look()
        now += 200
    return wifi.cause is None

def look():
    if wifi.due is not None and now >= wifi.due:
        wifi.run(now)
        assert wifi.due > now
    return wifi.cause is None

def look_now():
    wifi.due = now  # as the Link asks for
    return look()

"""
