"""What runs on a PC: the `limpet` command and the library behind it."""
