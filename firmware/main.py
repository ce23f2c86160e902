"""Starts the node. line.py is what a main.py usually is: here it is byte code, and watched over."""

from device import guard

guard.run()
