"""Images for a board, and putting them onto it: `limpet image` and `limpet flash`.

board_facts.py           what a PC has to know of a Board before it touches one
    board_sensors.py     its sensors among that; drivers.py what drives them
    laptop_sensors.py    those on the laptop's table
image.py                 `limpet image`: all that goes onto a Board, in a folder
    node_files.py        what lies on the node's file system, and file_system.py that as littlefs
    archive.py           the file in which a slot has its modules
    micropython_image.py what MicroPython's image has to have; micropython_download.py gets one
    heap.py              how much heap the node takes
flash.py                 `limpet flash`: what image.py has made, onto the chip
    image_folder.py      that folder, checked once more
    chip.py              an ESP32 in download mode; files_on_chip.py reads its file system
    port.py              which serial port a board is on
"""
