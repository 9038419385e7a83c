"""An Ethernet switch: ports, which machine has which MAC address, and where frames go.

Nothing here waits. A port whose QEMU takes no more, because its guest is paused or slow, loses frames, as a real port does;
the others do not notice. What a port remembers is bounded, whatever its guest sends.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from ..errors import UsageError
from ..wire.network_records import Place, PortStatus
from .frames import MAXIMUM_BYTES, MINIMUM_BYTES

MOST_MACHINES = 250
MOST_ADDRESSES = 64
"""MAC addresses learned of each port; a new one displaces the oldest of that port."""
BACKLOG_BYTES = 512 << 10
"""What waits for one QEMU at most."""
LENGTH_BYTES = 4

Frame = tuple[bytes, "Port | None"]
"""A frame, and the port of its receiver; None where it went to all."""


class Output(Protocol):
    """Where a port's frames go: an asyncio transport."""

    def write(self, data: bytes, /) -> None:
        """Send `data`, or keep it until it can be sent."""

    def get_write_buffer_size(self) -> int:
        """Bytes that are kept."""

    def abort(self) -> None:
        """Close at once."""


class Port:
    """A machine's port."""

    def __init__(self, machine: str, place: Place, output: Output) -> None:
        self.machine, self.place, self.output = machine, place, output
        self.addresses: OrderedDict[bytes, None] = OrderedDict()
        self.sent_frames = self.sent_bytes = self.received_frames = self.received_bytes = 0
        self.dropped = self.malformed = 0
        self._batch: list[bytes] = []
        self._batch_bytes = 0

    def add(self, sized: bytes) -> None:
        """Send a frame, which stands after its length, with the next `flush`."""
        self._batch.append(sized)
        self._batch_bytes += len(sized)

    def flush(self) -> None:
        """Send what was added, or drop it where too much waits already."""
        count, size = len(self._batch), self._batch_bytes
        if not count:
            return
        if self.output.get_write_buffer_size() > BACKLOG_BYTES:
            self.dropped += count
        else:
            self.output.write(b"".join(self._batch))
            self.received_frames += count
            self.received_bytes += size - LENGTH_BYTES * count
        self._batch.clear()
        self._batch_bytes = 0

    def status(self) -> PortStatus:
        """What clients see of it."""
        return PortStatus(
            machine=self.machine,
            place=self.place,
            sent_frames=self.sent_frames,
            sent_bytes=self.sent_bytes,
            received_frames=self.received_frames,
            received_bytes=self.received_bytes,
            dropped=self.dropped,
            malformed=self.malformed,
        )


class Switch:
    """The ports of one network by number."""

    def __init__(self) -> None:
        self.ports: dict[int, Port] = {}
        self._by_address: dict[bytes, Port] = {}
        self._numbers: dict[str, int] = {}

    def join(self, machine: str, output: Output) -> Port:
        """A port for `machine`, with the number that it had before if it is free; `UsageError` when none is left."""
        for port in list(self.ports.values()):
            if port.machine == machine:
                # A machine's name is unique, so this QEMU has ended and its socket is about to close.
                self.leave(port)
                port.output.abort()
        number = self._numbers.get(machine, 0)
        if not number or number in self.ports:
            taken = self.ports.keys() | self._numbers.values()
            free = [each for each in range(1, MOST_MACHINES + 1) if each not in self.ports]
            if not free:
                raise UsageError(f"the network has {MOST_MACHINES} machines; stop one or use another network")
            number = next((each for each in free if each not in taken), free[0])
            self._numbers = {name: each for name, each in self._numbers.items() if each != number} | {machine: number}
        port = self.ports[number] = Port(machine, place_of(number), output)
        self._by_address[bytes.fromhex(port.place.mac.replace(":", ""))] = port
        return port

    def keep(self, machine: str, number: int) -> None:
        """Keep a number for a machine that had it from a switch before this one: its guest knows its address."""
        if 1 <= number <= MOST_MACHINES:
            self._numbers[machine] = number

    def leave(self, port: Port) -> None:
        """Forget a port; without effect where that has been done."""
        if self.ports.get(port.place.number) is port:
            del self.ports[port.place.number]
            self._by_address = {mac: other for mac, other in self._by_address.items() if other is not port}

    def forward(self, port: Port, data: memoryview, seen: Callable[[Port, bytes, Port | None], None]) -> int:
        """Forward the whole frames at the front of `data`, which `port` received; returns how many bytes they are.

        `seen` gets each one and its receiver, None where it goes to all. `ValueError` for a length that no QEMU sends.
        """
        at, size = 0, len(data)
        touched: set[Port] = set()
        while size - at >= LENGTH_BYTES:
            length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
            if length > MAXIMUM_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            after = at + LENGTH_BYTES + length
            if after > size:
                break
            if length < MINIMUM_BYTES:
                port.malformed += 1
            else:
                sized = bytes(data[at:after])
                receiver = self._forward_one(port, sized, touched)
                seen(port, sized[LENGTH_BYTES:], receiver)
            at = after
        for each in touched:
            each.flush()
        return at

    def _forward_one(self, port: Port, sized: bytes, touched: set[Port]) -> Port | None:
        port.sent_frames += 1
        port.sent_bytes += len(sized) - LENGTH_BYTES
        destination, source = sized[4:10], sized[10:16]
        if self._by_address.get(source) is not port:
            self._learn(port, source)
        receiver = self._by_address.get(destination)
        if receiver is not None:
            if receiver is not port:
                receiver.add(sized)
                touched.add(receiver)
            return receiver
        others = [other for other in self.ports.values() if other is not port]
        for other in others:
            other.add(sized)
        touched.update(others)
        return None

    def _learn(self, port: Port, address: bytes) -> None:
        owner = self._by_address.get(address)
        # The address that a port was given is not taken from it, and a group's address is nobody's.
        if address[0] & 1 or (owner is not None and address not in owner.addresses):
            return
        if owner is not None:
            del owner.addresses[address]
        if len(port.addresses) >= MOST_ADDRESSES:
            oldest, _ = port.addresses.popitem(last=False)
            del self._by_address[oldest]
        port.addresses[address] = None
        self._by_address[address] = port


def place_of(number: int) -> Place:
    """The place of machine `number` of a network."""
    return Place(number, f"52:54:00:67:62:{number:02x}", f"10.77.0.{number}/24")
