"""The simulator Wokwi: the image that it looks for, and a linter for the Boards' diagrams."""
