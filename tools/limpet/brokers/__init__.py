"""The embedded broker, and mosquitto with the same rules."""
