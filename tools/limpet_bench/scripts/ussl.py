# mypy: ignore-errors
"""The TLS that umqtt of the package index asks for by a name that MicroPython has dropped."""

import bench_common


def wrap_socket(sock, **params):
    """A blocking TLS socket around `sock`, as ussl's was."""
    return bench_common.context().wrap_socket(sock, server_hostname=bench_common.config["broker"])
