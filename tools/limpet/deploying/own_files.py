"""What a board has for itself beside its code: identity and settings, and what becomes of them in a
deploy.

Pure: deployment.py has the board do it.
"""

from typing import Any

from limpet.deploying.slots import CONFIG, COPIES, OLD_LAST, OTHER, Survey
from limpet.identity import device_config
from limpet.identity.device_folder import DeviceFolder
from limpet.shared.firmware import config, errors

_INTERVAL = "interval_s"


class OwnFiles:
    """What a device's `folder`, or none, changes of it. `target`: the slot that gets new code, or
    None.

    said: in words. settings: the file that the slot in use is to have, None: what is there. root:
    the identity where it is another one, by path, in the order in which it is written; it goes into
    the configs of code from before as well, which have one of their own. gone: what is to go then.
    """

    def __init__(self, folder: DeviceFolder | None, there: Survey, target: str | None) -> None:
        self._there = there
        self.settings: bytes | None = None
        fields = folder.fields if folder else there.fields
        self.said = self._compared(folder)
        in_use = there.configs.get(f"/{there.slot}/{device_config.SETTINGS}")
        if fields and device_config.opened(in_use) is None:
            # Code from before has none: from here on its interval is in a file of its own.
            count = (there.settings or {}).get("version", folder.version if folder else 1)
            kept = device_config.settings_file(there.fields or fields, count)
            self.settings = self.settings or kept
        identity = config.split(fields)[0]
        stay = [slot for slot in OTHER if slot != target and there.is_old(slot)]
        self.root = self._copies(identity) if fields else {}
        self.gone: list[str] = []
        for slot in stay:
            self._old_code(slot, identity)
        if not stay and CONFIG in there.configs and fields:
            self.gone.append(CONFIG)

    @property
    def nothing(self) -> bool:
        """Whether nothing of it changes."""
        return not (self.settings or self.root or self.gone)

    @property
    def size(self) -> int:
        """Bytes to send."""
        return len(self.settings or b"") + sum(map(len, self.root.values()))

    def _compared(self, folder: DeviceFolder | None) -> str:
        if not folder:
            return "left alone: no device is provisioned here"
        new, old, device_id = folder.fields, self._there.fields, folder.device_id
        stays = bool(old) and not self._refused()
        if new == old and stays:
            return f"{device_id}, as it was"
        mine, theirs = (config.split(each)[1] for each in (new, old))
        if not stays or mine | {_INTERVAL: 0} != theirs | {_INTERVAL: 0}:
            self.settings = self._next(new, folder.version)
        if stays and old | {_INTERVAL: 0} == new | {_INTERVAL: 0}:
            return f"{device_id}, with the interval that was set by a Command"
        return f"{device_id}, {'changed' if old else 'new'}"

    def _refused(self) -> bool:
        """Whether there are settings that the node would refuse, such as those of a later format:
        what of them could be read here is not what counts.
        """
        found = self._there.configs.get(f"/{self._there.slot}/{device_config.SETTINGS}")
        if found is None:
            return False
        try:
            config.settings(found)
        except errors.ConfigError:
            return True
        return False

    def _next(self, fields: dict[str, Any], first: int = 1) -> bytes:
        """The settings among the fields as a file, which counts on from what is there."""
        count = (self._there.settings or {}).get("version")
        if self._there.fields and type(count) is int:
            first = count % config.VERSION_MAX + 1
        return device_config.settings_file(fields, first)

    def _copies(self, identity: dict[str, Any]) -> dict[str, bytes]:
        """Both copies, if not both are there and say that."""
        there = [device_config.opened(self._there.configs.get(path)) for path in COPIES]
        if there == [identity, identity]:
            return {}
        return dict.fromkeys(COPIES, device_config.sealed(identity))

    def _old_code(self, slot: str, identity: dict[str, Any]) -> None:
        """See that a slot with code from before falls back to no other identity."""
        named = config.split(self._fields(f"/{slot}/{OLD_LAST}"))[0]
        path = self._there.config_path(slot)
        found = self._fields(path)
        if config.split(found)[0] != identity:
            own = config.split(found)[1]
            merged = {n: v for n, v in (own | identity).items() if n not in ("v", "version")}
            self.root[path] = device_config.encoded(merged)
        if len(named) > 1 and named != identity:
            self.gone.append(f"/{slot}/{OLD_LAST}")

    def _fields(self, path: str) -> dict[str, Any]:
        return device_config.opened(self._there.configs.get(path)) or {}
