"""What every layer uses: problems, paths, files, progress, and the node's own pure files."""
