"""What is wrong with a wokwi.toml or a scenario of ours, each fault in a sentence.

It is given what was in a file. Diagrams have a linter of their own.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from limpet.simulator.wokwi_parts import PARTS

_KEYS = {"version", "firmware", "elf", "gdbServerPort", "rfc2217ServerPort", "vcdFile"}
# Wokwi has more; these are the ones that our scenarios use.
_STEPS = {"set-control", "wait-serial"}


def toml_faults(config: dict[str, Any], folder: Path, firmware: Path) -> list[str]:
    """Return what is wrong with a wokwi.toml (parsed) in `folder`; `firmware` is what it is to
    name. A file beside that may be missing: it is made with it.
    """
    section = config.get("wokwi", {})
    found = [f"wokwi.toml: unknown key {key}." for key in section if key not in _KEYS]
    if section.get("version") != 1:
        found.append("wokwi.toml: version is not 1.")
    for key in ("firmware", "elf"):
        path = section.get(key)
        if path is None and key == "elf":
            continue
        if not isinstance(path, str) or "\\" in path or PurePosixPath(path).is_absolute():
            found.append(f"wokwi.toml: {key} is no relative path with forward slashes.")
        elif key == "firmware" and (folder / path).resolve() != firmware:
            found.append(f"wokwi.toml: firmware is not the {firmware.name} that is made.")
        elif (folder / path).resolve().parent != firmware.parent and not (folder / path).is_file():
            found.append(f"wokwi.toml: {key} is no file, and nothing makes it.")
    port = section.get("rfc2217ServerPort")
    if type(port) is not int or not 1024 <= port <= 65535:
        found.append("wokwi.toml: rfc2217ServerPort is no port from 1024 to 65535.")
    return found


def scenario_faults(scenario: Any, diagram: dict[str, Any]) -> list[str]:
    """Return what is wrong with a scenario (parsed) for a diagram that has no faults."""
    if not isinstance(scenario, dict) or scenario.get("version") != 1 or not scenario.get("name"):
        return ["The scenario is no mapping of version 1 with a name."]
    types = {part["id"]: PARTS[part["type"]] for part in diagram["parts"]}
    found = []
    for number, step in enumerate(scenario.get("steps") or [{}], 1):
        if (
            not isinstance(step, dict)
            or len(set(step) & _STEPS) != 1
            or set(step) - {*_STEPS, "name"}
        ):
            found.append(f"Step {number} is none that is known.")
        elif "wait-serial" in step:
            if not (isinstance(step["wait-serial"], str) and step["wait-serial"]):
                found.append(f"Step {number} waits for no text.")
        else:
            part_id, control, value = (
                step["set-control"].get(key) for key in ("part-id", "control", "value")
            )
            if part_id not in types:
                found.append(f"Step {number}: there is no part {part_id}.")
            elif control not in types[part_id].controls:
                found.append(f"Step {number}: {part_id} has no control {control}.")
            elif type(value) not in (int, float):
                found.append(f"Step {number} sets no number.")
    return found
