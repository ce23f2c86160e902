"""Room for `limpet homeassistant`: tells Home Assistant which devices there are."""
