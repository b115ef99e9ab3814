"""Ports on this machine's loopback address."""

import contextlib
import socket


def free_port(preferred: int = 0) -> int:
    """The preferred port where it is free, else one that is; another program may take it before it is opened."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("No port on 127.0.0.1 is free.")
