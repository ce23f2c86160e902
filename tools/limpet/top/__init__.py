"""Room for `limpet top`: the fleet as a live table in a terminal."""
