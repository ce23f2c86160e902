"""mosquitto: its configuration by our rules, the files of a set-up, and the program itself."""
