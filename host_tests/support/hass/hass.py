"""Home Assistant that runs on loopback, set up and asked as a person's browser does it: by HTTP."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from limpet.identity.layout import Layout
from support.ports import standing_ports

# Far above what it takes on a busy machine.
START_S = 120.0
TIMEOUT_S = 60.0
_CONFIG = """\
homeassistant:
  name: Tests
  unit_system: metric
  time_zone: UTC
  country: DE
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
onboarding:
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: warning
"""
States = dict[str, str]


class Hass:
    """Runs while the block does. python: what starts its Python; folder: for all that it writes."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder = folder
        self.port = standing_ports(1)[0]
        self.cpu_s = 0.0
        self.rss_mb = 0
        self._python = python
        self._http = requests.Session()
        self._http.trust_env = False
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Hass:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "configuration.yaml").write_text(_CONFIG.format(port=self.port), "utf-8")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            print(self.log[-8000:])

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "said.log").read_text("utf-8", "replace")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        line: list[str | Path] = [
            self._python,
            "-m",
            "homeassistant",
            "-c",
            self.folder,
            "--skip-pip",
        ]
        with open(self.folder / "said.log", "ab") as said:
            self._process = subprocess.Popen(
                line,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        limit = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < limit, self.log
            time.sleep(0.2)

    def stop(self) -> None:
        """End it; twice does no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        status = Path(f"/proc/{process.pid}/status")
        if status.exists() and "VmHWM:" in (text := status.read_text()):
            self.rss_mb = int(text.split("VmHWM:")[1].split()[0]) // 1024
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_s += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def onboard(self) -> None:
        """Make its first user, and be that one from now on."""
        client = {"client_id": f"{self._url}/"}
        user = {"name": "o", "username": "o", "password": "only in tests", "language": "en"}
        code = self._post("/api/onboarding/users", client | user)["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code}
        said = self._http.post(f"{self._url}/auth/token", data=client | grant, timeout=TIMEOUT_S)
        self._http.headers["Authorization"] = f"Bearer {said.json()['access_token']}"

    def add_mqtt(self, host: str, port: int, layout: Layout, name: str, protocol: str) -> None:
        """Add its MQTT integration with the identity `name`, as docs/homeassistant.md says it."""
        flow = "/api/config/config_entries/flow"
        begun = self._post(flow, {"handler": "mqtt", "show_advanced_options": True})
        at = f"{flow}/{begun['flow_id']}"
        said: dict[str, Any] = {"broker": host, "port": port, "advanced_options": True}
        self._post(at, said)
        del said["advanced_options"]
        said |= {
            "client_id": name,
            "keepalive": 60,
            "set_client_cert": True,
            "set_ca_cert": "custom",
            "tls_insecure": False,
            "protocol": protocol,
            "transport": "tcp",
        }
        self._post(at, said)
        key, certificate = layout.operator_pair(name)
        said["certificate"] = self._upload(key.with_name("ca.crt"))
        said |= {"client_cert": self._upload(certificate), "client_key": self._upload(key)}
        done = self._post(at, said)
        assert done["type"] == "create_entry", done

    def states(self) -> States:
        """Return the state of each entity by its id."""
        said = self._http.get(f"{self._url}/api/states", timeout=TIMEOUT_S)
        said.raise_for_status()
        return {each["entity_id"]: each["state"] for each in said.json()}

    def attributes(self, entity: str) -> dict[str, Any]:
        """Return the attributes of an entity."""
        said = self._http.get(f"{self._url}/api/states/{entity}", timeout=TIMEOUT_S)
        said.raise_for_status()
        return dict(said.json()["attributes"])

    def until(self, fits: Callable[[States], Any]) -> States:
        """Wait until its states fit, and return them."""
        limit = time.monotonic() + TIMEOUT_S
        while not fits(found := self.states()):
            assert time.monotonic() < limit, found
            time.sleep(0.1)
        return found

    def state(self, entity: str, wanted: str) -> None:
        """Wait until an entity has a state."""
        self.until(lambda states: states.get(entity) == wanted)

    def call(self, domain: str, service: str, **data: Any) -> None:
        """Call one of its services."""
        self._post(f"/api/services/{domain}/{service}", data)

    def rendered(self, template: str) -> str:
        """Return what a template comes to: by it a device is asked for, too."""
        said = self._http.post(
            f"{self._url}/api/template", json={"template": template}, timeout=TIMEOUT_S
        )
        said.raise_for_status()
        return said.text

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            said = self._http.get(f"{self._url}/api/onboarding", timeout=TIMEOUT_S)
        except requests.ConnectionError:
            return False
        # Behind a first start that is the onboarding's; later it is gone.
        return said.status_code in (200, 404)

    def _post(self, path: str, said: dict[str, Any]) -> Any:
        answer = self._http.post(f"{self._url}{path}", json=said, timeout=TIMEOUT_S)
        assert answer.ok, (path, answer.status_code, answer.text)
        return answer.json()

    def _upload(self, path: Path) -> str:
        with open(path, "rb") as file:
            said = self._http.post(
                f"{self._url}/api/file_upload", files={"file": file}, timeout=TIMEOUT_S
            )
        said.raise_for_status()
        return str(said.json()["file_id"])
