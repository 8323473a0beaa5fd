"""Refuse every network connection except to this machine itself.

Python imports `sitecustomize` at start-up when its folder is on PYTHONPATH. The tests put this
folder there, so that notebook kernels and subprocesses are covered too: a run that passes has
shown that nothing in the course needs the network.
"""

import ipaddress
import socket
import sys

HERE = {"", "localhost", "ip6-localhost", socket.gethostname()}


class NetworkRefused(RuntimeError):
    """Not an OSError, so that code with a fallback for being offline cannot hide the attempt."""


def is_local(host):
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name in HERE
    return address.is_loopback or address.is_unspecified


def guard(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = args[:2]
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or address is None:
            return
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    if not is_local(host):
        raise NetworkRefused(f"{event} to {host!r} refused: the tests run without the network")


sys.addaudithook(guard)
