"""Who a light node is: what it needs of a device's folder."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.identity import device_config
from limpet.identity.provisioning import base_of
from limpet.shared import private


@dataclass(frozen=True)
class Identity:
    """A device: its names, what its config says of the connection, its certificate and key."""

    device_id: str
    base: str
    keepalive_s: int
    handshake_s: int
    window: int
    login: tuple[str | None, str | None]
    server_name: str
    ca: bytes  # DER
    pem: bytes

    def context(self) -> ssl.SSLContext:
        """Return a TLS context with its certificate. Made for each connection: it takes 24 KB, and
        a node that is away needs none.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_verify_locations(cadata=self.ca)
        with _as_file(self.pem) as path:
            made.load_cert_chain(path)
        return made


def of_device(folder: Path) -> Identity:
    """Return the identity in the folder of a device. Raises OSError, and ConfigError."""
    config = device_config.load(folder)
    files = [private.read(folder / name) for name in (config.ca, config.cert, config.key)]
    ca, certificate, key = files
    return Identity(
        device_id=config.device_id,
        base=base_of(config),
        keepalive_s=config.keepalive_s,
        handshake_s=config.handshake_s,
        window=config.window,
        login=(config.username, config.password),
        server_name=config.server_hostname or config.broker,
        ca=ca,
        pem=(ssl.DER_cert_to_PEM_cert(certificate) + _key_pem(key)).encode(),
    )


def _key_pem(der: bytes) -> str:
    # SEC 1, as authority.Identity.key_der writes it.
    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "EC PRIVATE KEY")


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Yield a path under which `data` is read: the ssl module takes keys from files alone. On Linux
    it is in memory.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("limpet")
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name
