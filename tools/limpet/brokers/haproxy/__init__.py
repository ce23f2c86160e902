"""HAProxy in front of a cluster: its configuration, and the program itself."""
