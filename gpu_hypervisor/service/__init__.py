"""The hypervisor for other processes: a unix socket that only its user may open, and the client.

A connection is one tenant, or one that only asks. What a tenant's connection leaves behind ends with it. Arrays are shared memory: no byte of
them crosses the socket.
"""

from .client import Client, RemoteJob, RemoteTenant
from .server import Server, default_socket

__all__ = ["Client", "RemoteJob", "RemoteTenant", "Server", "default_socket"]
