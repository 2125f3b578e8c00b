"""Free TCP ports on this machine's loopback address."""

import socket

HOST = "127.0.0.1"
CONNECT_TIMEOUT_S = 2.0


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        # As servers do: connections that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether a server on this port of loopback takes connections."""
    try:
        with socket.create_connection((HOST, port), CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False
