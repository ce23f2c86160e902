"""What an operator does with nodes: run, watch, command."""
