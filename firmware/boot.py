"""Runs before main.py. Nothing has to be done there yet.

Kept free of work: what fails here leaves a board without main, and without a word to the broker.
"""
