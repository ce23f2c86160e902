"""JSON (RFC 8259) read strictly and within bounds: the bytes are walked, then the object is made.

MicroPython's json.loads (1.25, measured) takes `{"a":1 "b":2}`, `{"a","b":1}`, `{"a":1]`, `{1:2}`,
`[01]`, a text that ends between any two tokens, and the last of two members with one name. So
grammar, depth and the number of structural characters are checked before anything is built.

Stricter than the RFC in one thing: a surrogate must not be escaped, as MicroPython reads such a
pair as two characters. Decoding text, UTF-8 included, and converting numbers is left to json.loads.
"""

import json

# Deep enough for every payload here (2 levels); each level costs three Python calls of stack.
DEPTH_MAX = 8
# No 64-bit int and no double needs more in a row.
DIGITS_MAX = 20
FOUND_MAX = 64

NOT_JSON = "not-json"
TOO_COMPLEX = "too-complex"
DUPLICATE = "duplicate-key"

_WORDS = b"truefalsenull"  # one object instead of three
_QUOTE = 0x22
_COMMA = 0x2C
_COLON = 0x3A
_BACKSLASH = 0x5C


class Shape:
    """One walk over the first `end` bytes of `data` (bytes), which must be one whole JSON text.

    fault: None, or NOT_JSON, or TOO_COMPLEX: more than `structural_max` of `{}[]:,` outside
    strings, deeper than DEPTH_MAX, or a number of more than DIGITS_MAX digits.
    found: value (bytes) of the outermost object's first member `name` (bytes), if it is a string
    of at most FOUND_MAX bytes without escapes and stood before the fault, else None. So even a
    Command that cannot be parsed can be answered by its id.

    Its heap does not grow with the data.
    """

    def __init__(self, data, end, structural_max, name=b""):
        self.fault = None
        self.found = None
        self._data = data
        self._end = end
        self._at = 0
        self._left = structural_max
        self._name = name
        self._members = 0
        try:
            self._value(0)
            if self._peek() >= 0:
                self.fault = NOT_JSON
        except ValueError as exc:
            self.fault = exc.args[0]

    def load(self):
        """The value. Raises ValueError(code): the fault, NOT_JSON (bad UTF-8) or DUPLICATE."""
        if self.fault:
            raise ValueError(self.fault)
        try:
            value = json.loads(self._data)
        except ValueError:
            raise ValueError(NOT_JSON)
        # json.loads keeps one of two members with the same name: then there are fewer than seen.
        if _members(value) != self._members:
            raise ValueError(DUPLICATE)
        return value

    def _value(self, depth):
        char = self._peek()
        if char == _QUOTE:
            self._string()
        elif char == 0x7B:
            self._object(depth + 1)
        elif char == 0x5B:
            self._array(depth + 1)
        elif char == 0x2D or 0x30 <= char <= 0x39:
            self._number()
        elif not (self._word(0, 4) or self._word(4, 9) or self._word(9, 13)):
            raise ValueError(NOT_JSON)

    def _object(self, depth):
        self._structural(0x7B, depth)
        more = self._peek() != 0x7D or self._more(0x7D)
        while more:
            name = self._string()
            wanted = depth == 1 and self._is_name(name)
            self._members += 1
            self._structural(_COLON)
            quoted = self._peek() == _QUOTE
            start = self._at + 1
            self._value(depth)
            if wanted and quoted and self.found is None:
                self.found = self._plain(start)
            more = self._more(0x7D)

    def _array(self, depth):
        self._structural(0x5B, depth)
        more = self._peek() != 0x5D or self._more(0x5D)
        while more:
            self._value(depth)
            more = self._more(0x5D)

    def _more(self, close):
        """Passes a comma (True) or the bracket `close` (False)."""
        comma = self._peek() == _COMMA
        self._structural(_COMMA if comma else close)
        return comma

    def _structural(self, wanted, depth=0):
        if self._peek() != wanted:
            raise ValueError(NOT_JSON)
        self._at += 1
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            raise ValueError(TOO_COMPLEX)

    def _peek(self):
        """The next byte that is no white space, or -1 at the end."""
        while self._at < self._end:
            char = self._data[self._at]
            if char not in b" \t\r\n":
                return char
            self._at += 1
        return -1

    def _is_name(self, start):
        stop = self._at - 1
        # Compared by length first: a slice is heap.
        return stop - start == len(self._name) and self._data[start:stop] == self._name

    def _plain(self, start):
        """The string just passed (bytes), or None when it has escapes or is long."""
        stop = self._at - 1
        text = self._data[start:stop] if stop - start <= FOUND_MAX else b"\\"
        return None if b"\\" in text else text

    def _string(self):
        """Passes a string; returns where its text starts."""
        if self._peek() != _QUOTE:
            raise ValueError(NOT_JSON)
        data = self._data
        start = at = self._at + 1
        while at < self._end:
            char = data[at]
            at += 1
            if char == _QUOTE:
                self._at = at
                return start
            if char < 0x20:
                break
            if char == _BACKSLASH:
                at = self._escape(at)
        raise ValueError(NOT_JSON)

    def _escape(self, at):
        if at + 5 <= self._end and self._data[at] == 0x75:
            for digit in range(at + 1, at + 5):
                if self._data[digit] not in b"0123456789abcdefABCDEF":
                    raise ValueError(NOT_JSON)
            # D800 to DFFF: half a character. As UTF-8 the whole one needs no escape.
            if self._data[at + 1] in b"dD" and self._data[at + 2] in b"89abABcdefCDEF":
                raise ValueError(NOT_JSON)
            return at + 5
        if at < self._end and self._data[at] in b'"\\/bfnrt':
            return at + 1
        raise ValueError(NOT_JSON)

    def _number(self):
        self._skip(0x2D)
        zero = self._skip(0x30)
        if zero == self._digits():
            # `01` and a lone `-`: a zero stands alone, anything else needs a digit.
            raise ValueError(NOT_JSON)
        if self._skip(0x2E) and not self._digits():
            raise ValueError(NOT_JSON)
        if self._skip(0x65) or self._skip(0x45):
            self._skip(0x2D) or self._skip(0x2B)
            if not self._digits():
                raise ValueError(NOT_JSON)

    def _digits(self):
        """Passes digits; True when there were any."""
        start = self._at
        while self._skip(0x30, 0x39):
            if self._at - start > DIGITS_MAX:
                raise ValueError(TOO_COMPLEX)
        return self._at > start

    def _skip(self, low, high=0):
        """Passes a byte that is `low`, or up to `high`."""
        if self._at < self._end and low <= self._data[self._at] <= (high or low):
            self._at += 1
            return True
        return False

    def _word(self, start, stop):
        """Passes one of _WORDS."""
        end = self._at + stop - start
        if self._data[self._at : end] != _WORDS[start:stop]:
            return False
        self._at = end
        return True


def _members(value):
    count = 0
    if isinstance(value, dict):
        count = len(value)
        value = value.values()
    elif not isinstance(value, list):
        return 0
    for item in value:
        count += _members(item)
    return count
