"""Where things are, in a clone and in an installed limpet."""

from pathlib import Path

from platformdirs import user_cache_path, user_data_path

_PACKAGE = Path(__file__).resolve().parents[1]
# What pyproject.toml puts into the wheel; a clone has it at its root.
_CARRIED = _PACKAGE / "sources"
INSTALLED = _CARRIED.is_dir()
# The folder of firmware/, lib/, boards/, the alert rules and the dashboard, which nobody writes to.
SOURCES = _CARRIED if INSTALLED else _PACKAGE.parents[1]
# For the tests and the bench, which only a clone has.
REPO = SOURCES
FIRMWARE = SOURCES / "firmware"
LIB = SOURCES / "lib"
# Clients for programs that have nothing else of ours.
CLIENTS = LIB / "clients"
BOARDS = SOURCES / "boards"
DASHBOARD = SOURCES / "docs" / "prometheus" / "limpet-dashboard.json"
ALERTS = SOURCES / "docs" / "prometheus" / "limpet-alerts.yml"
HOST_BOARD = BOARDS / "host"
CAPTURES = HOST_BOARD / "captures"
# What can be fetched or made again, and what cannot: keys, and images that hold them. A clone has
# both in one folder, of which `make clean` knows the parts.
CACHE = user_cache_path("limpet", False) if INSTALLED else SOURCES / "build"
DATA = user_data_path("limpet", False) if INSTALLED else SOURCES / "build"
# What `limpet run` makes for itself; no fleet, and to be thrown away.
RUN = CACHE / "run"
# Where devices were before there were fleets (0.1), if somebody has some there.
OLD_SETUP = DATA / "dev"
