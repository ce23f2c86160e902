"""Freezes what does not change on a node into the image: byte code in flash costs no heap.

Included by each Board's own manifest.py, which adds board.py. boot.py, main.py, the config and the
keys stay on the file system.
"""

import os

include("$(PORT_DIR)/boards/manifest.py")

# Without what is below it, which no node loads.
freeze("../lib", sorted(name for name in os.listdir("../lib") if name.endswith(".py")))
package("node", base_path="../firmware")
package("device", base_path="../firmware")
module("app.py", base_path="../firmware")
