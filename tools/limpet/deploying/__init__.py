"""A board that runs MicroPython: copying a node onto it, and what it says."""
