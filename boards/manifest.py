"""Freezes what does not change on a node into the image: byte code in flash costs no heap.

Included by each Board's own manifest.py, which adds board.py. boot.py, main.py, the config and the
keys stay on the file system.
"""

include("$(PORT_DIR)/boards/manifest.py")

freeze("../lib")
package("node", base_path="../firmware")
package("device", base_path="../firmware")
module("app.py", base_path="../firmware")
