"""A loopback port of this machine, as its containers see it: at the gateway of their network, for that network alone.

The store and Lambda's endpoint listen on 127.0.0.1 and ask nobody who they are. Linux takes packets for the gateway's
address from any interface, so that whoever does not come from the containers' network is sent away here.
"""

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address

from scripts.local.containers.engine import Bridge
from scripts.local.failure import LocalStackError

_PIECE = 64 * 1024
_ACCEPT_SECONDS = 0.5

# Of Linux; not among the names that Python's socket module has.
_IP_FREEBIND = 15


@contextlib.contextmanager
def relayed(bridge: Bridge, port: int) -> Iterator[int]:
    """The port at the gateway that leads to 127.0.0.1:`port`."""
    with _listener(str(bridge.gateway)) as listener:
        ended = threading.Event()
        accepting = threading.Thread(target=_accept, args=(listener, bridge, port, ended), name="k9-relay", daemon=True)
        accepting.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            accepting.join()


def _listener(address: str) -> socket.socket:
    listener = socket.socket()
    try:
        # An engine may make its network, and the address, only with the first container.
        listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.settimeout(_ACCEPT_SECONDS)
        listener.bind((address, 0))
        listener.listen(128)
    except OSError as exc:
        listener.close()
        reason = exc.strerror or errno.errorcode.get(exc.errno or 0, "unknown")
        raise LocalStackError(f"The address {address} of the containers' network cannot be used: {reason}.") from exc
    return listener


def _accept(listener: socket.socket, bridge: Bridge, port: int, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            client, (address, *_) = listener.accept()
        except TimeoutError:
            continue
        except OSError:  # no descriptor is free just now
            ended.wait(_ACCEPT_SECONDS)
            continue
        if IPv4Address(address) not in bridge.network:
            client.close()
            continue
        client.settimeout(None)
        threading.Thread(target=_connect, args=(client, port), name="k9-relay", daemon=True).start()


def _connect(client: socket.socket, port: int) -> None:
    """Both ways until both have ended; a server that is gone ends the client's connection."""
    with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as server:
        server.settimeout(None)
        back = threading.Thread(target=_pass_on, args=(server, client), name="k9-relay", daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
