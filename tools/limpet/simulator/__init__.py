"""The simulator Wokwi: the image that it looks for, and a linter for the Boards' diagrams.

wokwi.py            `limpet wokwi`
    wokwi_files.py  what is wrong with a wokwi.toml or a scenario of ours
    diagram.py      what is wrong with a diagram; diagram_sensors.py with the sensors in it
    wiring.py       what is wired to what in a diagram; wokwi_parts.py its parts
"""
