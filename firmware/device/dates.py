"""When it can be, as the node's own certificates tell: needed once, at boot.

A certificate is neither verified nor decoded: it looks for its first date, from which on it is
valid, and the one behind that, which is its last.
"""

from micropython import const
from sntp import LATEST

_UTC_TIME = b"\x17\x0d"  # DER tag and length of yymmddhhmmssZ (RFC 5280 section 4.1.2.5.1)
_LONG_TIME = b"\x18\x0f"  # of yyyymmddhhmmssZ, which is from 2050 on (section 4.1.2.5.2)
_TEXT_SIZE = const(13)
_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def span(paths, earliest):
    """(from, to) in Unix time: when it can be by the DER certificates in the files at `paths`, but
    not before `earliest`, nor from LATEST on. A path that is None, or tells nothing, narrows
    nothing.
    """
    latest = LATEST
    for path in paths:
        first, last = _dates(path)
        earliest = max(earliest, first)
        latest = min(latest, last)
    return earliest, latest


def _dates(path):
    """(from, to) in Unix time: when the certificate at `path` is valid."""
    der = b""
    if path is not None:
        try:
            with open(path, "rb") as file:
                der = file.read()
        except OSError:
            pass
    at = der.find(_UTC_TIME)
    while at >= 0:
        at += len(_UTC_TIME)
        # A serial number may hold the same two bytes, but hardly a date behind them.
        if _is_date(der[at : at + _TEXT_SIZE]):
            first = _unix(der[at : at + _TEXT_SIZE], 50)
            return first, _last(der[at + _TEXT_SIZE :]) or LATEST
        at = der.find(_UTC_TIME, at)
    return 0, LATEST


def _last(der):
    """Unix time of the date that `der` begins with; 0 for none, or one of another century."""
    years = 50
    if der[:4] == _LONG_TIME + b"20":
        der = der[2:]
        years = 100
    elif der[:2] != _UTC_TIME:
        return 0
    text = der[2 : 2 + _TEXT_SIZE]
    return _unix(text, years) if _is_date(text) else 0


def _is_date(text):
    return len(text) == _TEXT_SIZE and text[12:] == b"Z" and text[:12].isdigit()


def _unix(text, years):
    """Unix time of a date (yymmddhhmmssZ) in the first `years` of 2000 to 2099; 0 for what is none.
    In UTCTime 50 and more stand for 1950 and more.

    Not by time.mktime: its epoch and its time zone are the port's.
    """
    year, month, day, hour, minute, second = [int(text[i : i + 2]) for i in range(0, 12, 2)]
    if not (year < years and 1 <= month <= 12 and 1 <= day <= 31):
        return 0
    leap_days = (year + 3) // 4 + (month > 2 and year % 4 == 0)
    days = 10_957 + 365 * year + leap_days + _BEFORE_MONTH[month - 1] + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
