"""Records of networks between guests: who is on one, what was sent, and what clients ask a switch.

A network's switch listens on a Unix socket. A client sends one request, a line of JSON with its kind in ``type``, and gets an
`Accepted` or a `Refused`; what follows depends on the request (docs/protocol.md).
"""

from __future__ import annotations

from enum import Enum

from .records import Record


class Join(Record, frozen=True, tag="join"):
    """Connect `machine`: after `Accepted`, with a `place`, both sides send frames, each after its length (4 bytes, big-endian).

    They do so on this connection, or where `socket` is the path of a Unix socket on one that the switch makes to that.
    """

    machine: str
    socket: str = ""


class AskNetwork(Record, frozen=True, tag="network"):
    """Send a `NetworkStatus`."""


class AskFlows(Record, frozen=True, tag="flows"):
    """Send a `Flows`."""


class Follow(Record, frozen=True, tag="follow"):
    """Send a `Flow` whenever one is new, named or ended, a line each, until the network ends."""


class Capture(Record, frozen=True, tag="capture"):
    """Send every frame from now on as pcapng, until the client shuts down its side of the socket."""


AnyRequest = Join | AskNetwork | AskFlows | Follow | Capture


class Place(Record, frozen=True):
    """A machine's place on a network: its number, the card's MAC address, and its IPv4 address with the prefix's length."""

    number: int
    mac: str
    address: str


class Accepted(Record, frozen=True, tag="accepted"):
    """The switch does what was asked for."""

    place: Place | None = None


class Refused(Record, frozen=True, tag="refused"):
    """The switch does not, and why."""

    reason: str


class PortStatus(Record, frozen=True):
    """A machine on a network, and what its port carried since it joined.

    Attributes:
        sent_frames, sent_bytes: by the guest.
        received_frames, received_bytes: by the guest's QEMU.
        dropped: frames for the guest that its QEMU did not take in time.
        malformed: frames of the guest too short for Ethernet.
    """

    machine: str
    place: Place
    sent_frames: int = 0
    sent_bytes: int = 0
    received_frames: int = 0
    received_bytes: int = 0
    dropped: int = 0
    malformed: int = 0


class NetworkStatus(Record, frozen=True):
    """A network: its machines, the flows remembered, the clients that follow or capture, the switch's process."""

    name: str
    ports: tuple[PortStatus, ...]
    flows: int
    watchers: int
    pid: int
    uptime_s: float
    cpu_s: float


class Naming(str, Enum):
    """How the process at an end of a flow was found."""

    PENDING = "pending"
    """It is being looked for."""
    SOCKET = "socket"
    """It has the connection's own socket open."""
    LISTENER = "listener"
    """It has the socket open that the port is bound to; the connection's own socket was never seen with a process."""
    KERNEL = "kernel"
    """No process: the guest's kernel answers."""
    UNKNOWN = "unknown"
    """No socket was found in time, or nobody could read the guest's."""


class FlowEnd(Record, frozen=True):
    """One end of a flow.

    Attributes:
        machine: that has the address; empty for a multicast address and for one that no machine on the network has.
        address, port: on the network; of ICMP the port is the identifier.
        naming: how the process was found.
        process, pids: name of the process, and all processes that have the socket.
        frames, bytes: that this end sent.
    """

    machine: str
    address: str
    port: int
    naming: Naming = Naming.PENDING
    process: str = ""
    pids: tuple[int, ...] = ()
    frames: int = 0
    bytes: int = 0


class Call(Record, frozen=True):
    """A request and its reply on one connection.

    Attributes:
        time: when the request began, seconds since 1970, as the switch saw it.
        request_bytes, reply_bytes: of payload.
        latency_s: from the request's last byte to the reply's first.
        duration_s: from the request's first to the reply's last.
    """

    time: float
    request_bytes: int
    reply_bytes: int
    latency_s: float
    duration_s: float


class Flow(Record, frozen=True):
    """All frames between two ends, in both directions.

    Attributes:
        number: counts the network's flows.
        protocol: tcp, udp, icmp, icmp6, arp, or the number of another one.
        source, destination: who sent first, and to whom; `frames` and `bytes` count what that end sent, Ethernet headers included.
        state: open or closed.
        started, last: times of the first and the newest frame, seconds since 1970.
        call_count: requests that were answered.
        calls: the newest of them.
        latency_p50_s, latency_p99_s: over the newest calls; None without one.
        retransmitted: TCP segments whose bytes had been seen before.
    """

    number: int
    protocol: str
    source: FlowEnd
    destination: FlowEnd
    state: str
    started: float
    last: float
    call_count: int = 0
    calls: tuple[Call, ...] = ()
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    retransmitted: int = 0


class Flows(Record, frozen=True):
    """The flows of a network, oldest first; `forgotten` were there and had to make room."""

    network: str
    flows: tuple[Flow, ...]
    forgotten: int = 0
