"""What makes, locks and removes .venv: the part of the tools that runs before there is any."""
