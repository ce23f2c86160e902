"""Images for a board, and putting them onto it: `limpet image` and `limpet flash`."""
