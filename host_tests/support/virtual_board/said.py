"""The marks in what a chip says, which tell what Ctrl-C would do to it."""

from __future__ import annotations


class Said:
    """What the chip marks in what it says: see esp32/chip.py."""

    def __init__(self) -> None:
        self.interrupts = False
        self.reads = False  # bytes one by one: in a REPL, or because Ctrl-C was switched off
        self.raw = False
        self._marked = False

    def heard(self, data: bytes) -> bytes:
        """Return the bytes that go onto the cable."""
        out = bytearray()
        for byte in data:
            if self._marked:
                self._marked = False
                if byte in b"Ii":
                    self.interrupts = byte == ord("I")
                elif byte in b"RF":
                    self.raw, self.reads = byte == ord("R"), True
                elif byte == ord("-"):
                    self.interrupts, self.reads = False, True
                else:
                    out.append(byte)
            elif byte == 255:
                self._marked = True
            elif byte == 10:
                out += b"\r\n"
            else:
                out.append(byte)
        return bytes(out)
