"""The earliest that it can be, as the node's own certificates tell: needed once, at boot.

It will NOT verify or decode a certificate: it looks for its first date, which is the one from which
on it is valid.
"""

from micropython import const

_UTC_TIME = b"\x17\x0d"  # DER tag and length of yymmddhhmmssZ (RFC 5280 section 4.1.2.5.1)
_TEXT_SIZE = const(13)
_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def issued(path):
    """Unix time from which on the DER certificate in the file at `path` is valid; 0 when `path` is
    None, or that cannot be told.
    """
    if path is None:
        return 0
    try:
        with open(path, "rb") as file:
            der = file.read()
    except OSError:
        return 0
    at = der.find(_UTC_TIME)
    while at >= 0:
        at += len(_UTC_TIME)
        text = der[at : at + _TEXT_SIZE]
        # A serial number may hold the same two bytes, but hardly a date behind them.
        if len(text) == _TEXT_SIZE and text[12:] == b"Z" and text[:12].isdigit():
            return _unix(*[int(text[i : i + 2]) for i in range(0, 12, 2)])
        at = der.find(_UTC_TIME, at)
    return 0


def _unix(year, month, day, hour, minute, second):
    """Unix time of a date in 20`year`, up to 2049 as in UTCTime; 0 for what is no date.

    Not by time.mktime: its epoch and its time zone are the port's.
    """
    if not (year < 50 and 1 <= month <= 12 and 1 <= day <= 31):
        return 0
    leap_days = (year + 3) // 4 + (month > 2 and year % 4 == 0)
    days = 10_957 + 365 * year + leap_days + _BEFORE_MONTH[month - 1] + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
