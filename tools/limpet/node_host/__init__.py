"""MicroPython on a PC: the interpreter, the node as a process, and its byte code."""
