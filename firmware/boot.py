"""Runs before main.py. Nothing has to be done there yet.

Kept, and kept free of work: what fails here leaves a board without main and without a word to the
broker, and firmware that finds no boot.py writes one of its own.
"""
