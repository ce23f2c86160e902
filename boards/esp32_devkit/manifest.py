"""Freezes what does not change on a node into the image: bytecode in flash costs no heap.

boot.py, main.py, the config and the keys stay on the file system.
"""

include("$(PORT_DIR)/boards/manifest.py")

freeze("../../lib")
package("node", base_path="../../firmware")
package("device", base_path="../../firmware")
module("line.py", base_path="../../firmware")
module("board.py")
