"""The `limpet` command: one table of subcommands, each imported only when it is used."""

from cyclopts import App

app = App(name="limpet", help="Sensor-node firmware that holds on: run it, watch it, command it.")

for name in ("setup", "node", "provision", "broker", "run", "watch", "send"):
    app.command(f"limpet.{name}:{name}", name=name)


def main() -> None:
    """Entry point of the console script."""
    app()
