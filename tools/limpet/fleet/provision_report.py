"""What `limpet provision` says of what it did: what is there, what is new, what the device lacks.

It never shows a secret.
"""

import contextlib
from pathlib import Path
from typing import Any

from cryptography import x509

from limpet.identity import authority, operators, registry
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import errors, rules


def summary(setup: Setup, device: str) -> dict[str, Any]:
    """Return for a program what there is of a device."""
    layout = setup.layout
    folder, entry = layout.device(device), layout.registered().devices[device]
    ends = authority.load_certificate(folder / "cert.der").not_valid_after_utc
    return {
        "device": device,
        "base": entry.base,
        "auth": entry.auth,
        "revoked": entry.revoked,
        "expires": registry.stamp(ends),
        "folder": str(folder),
    }


def certificates(setup: Setup, device: str, known: bool) -> None:
    """Say who has which certificate, and until when. known: the device was there before."""
    layout = setup.layout
    folder = layout.device(device)
    server = authority.load_certificate(layout.server_certificate)
    if not known:  # a second time they are as they were
        _line("CA", setup.authority.certificate, layout.ca)
        _line("broker", server, layout.broker)
        _, operator = layout.operator_pair(operators.FIRST)
        _line("operators", authority.load_certificate(operator), layout.operators)
    _line(device, authority.load_certificate(folder / "cert.der"), folder)
    if setup.server_renewed:
        print(f"broker: new certificate for {', '.join(authority.names(server))}")
    if not known:
        return
    print(f"{device}: was there already, key and certificate stay")
    if setup.layout.registered().devices[device].revoked:
        print(
            f"{device}: is revoked; a new certificate lets it in again: limpet fleet renew {device}"
        )


def _line(name: str, certificate: x509.Certificate, where: Path) -> None:
    expires = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    print(f"{name:<12} {authority.key_type(certificate)}, expires {expires}  {where}")


def without_wifi(setup: Setup, device: str) -> None:
    """Say what a device lacks that may be meant for a Board with Wi-Fi."""
    with contextlib.suppress(errors.ConfigError):
        found = setup.config(device)
        if found.wifi_ssid is None and not rules.is_loopback(found.broker):
            print(f"{device}: has no Wi-Fi, without which an ESP32 refuses it: --wifi-ssid NAME")
