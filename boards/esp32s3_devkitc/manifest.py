"""For an image of one's own: what is frozen into it, see ../manifest.py."""

include("../manifest.py")

module("board.py")
