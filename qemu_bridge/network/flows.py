"""The flows of a network: who sends to whom, how much, and the calls (request and reply) on each.

A flow is all that two ends, each an address and a port, send each other over one protocol. What is kept is bounded for each
machine that begins flows, so that one guest that makes up addresses displaces no flow but its own.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator

from ..wire.network_records import Call, Flow, FlowEnd, Naming
from .frames import ACK, FIN, RST, SYN, TCP, Packet, is_group, name_end, protocol_name

MOST_FLOWS = 512
"""Flows remembered for each machine that began them."""
MOST_CALLS = 16
"""Newest calls remembered of each flow."""
IDLE_S = 30.0
"""A flow without connections, as of UDP, is closed after so long without a frame."""

_MOST_OLDEST = 16
_Key = tuple[int, bytes, bytes]


class End:
    """One end of a flow while it changes; see `FlowEnd`."""

    __slots__ = (
        "address",
        "frames",
        "is_group",
        "is_settled",
        "machine",
        "naming",
        "next",
        "pids",
        "port",
        "process",
        "size",
    )

    def __init__(self, machine: str, end: bytes) -> None:
        self.machine = machine
        self.address, self.port = name_end(end)
        self.is_group = is_group(end)
        self.naming, self.process = Naming.PENDING, ""
        # Nobody looks for its process any more.
        self.is_settled = False
        self.pids: tuple[int, ...] = ()
        self.frames = self.size = 0
        # The sequence number that its next TCP segment has, None before the first.
        self.next: int | None = None

    def settle(self, naming: Naming) -> None:
        """Look for its process no more; `naming` is how it is known, unless more was found out."""
        if self.naming is Naming.PENDING:
            self.naming = naming
        self.is_settled = True

    def to_record(self) -> FlowEnd:
        """What clients see of it."""
        return FlowEnd(
            self.machine, self.address, self.port, self.naming, self.process, self.pids, self.frames, self.size
        )


class LiveFlow:
    """One flow while it changes; see `Flow`. `ends` are its source and its destination."""

    __slots__ = ("calls", "count", "ends", "finished", "is_open", "key", "last", "number", "request", "retransmitted", "started", "told")  # fmt: skip

    def __init__(self, number: int, packet: Packet, sender: str, receiver: str, now: float) -> None:
        self.number = number
        self.key: _Key = packet[:3]
        self.ends = End(sender, packet.source), End(receiver, packet.destination)
        self.is_open, self.finished = True, 0
        self.started = self.last = now
        self.count = self.retransmitted = 0
        # What followers were told last.
        self.told: tuple[bool, bool] | None = None
        # Of a request that waits for its reply: when its first and its last byte came, and how many they are.
        self.request: tuple[float, float, int] | None = None
        self.calls: deque[Call] = deque(maxlen=MOST_CALLS)

    @property
    def is_named(self) -> bool:
        """Whether nothing more will be learned about who is at its ends."""
        return all(end.is_settled for end in self.ends)

    def add(self, packet: Packet, direction: int, size: int, now: float) -> None:
        """Count a frame of `size` bytes that end number `direction` sent."""
        end = self.ends[direction]
        end.frames += 1
        end.size += size
        self.last = now
        payload = packet.payload
        if packet.protocol == TCP:
            payload = self._new_bytes(packet, end)
            if packet.flags & FIN:
                self.finished |= 1 << direction
            if packet.flags & RST or self.finished == 3:
                self.is_open = False
        if payload:
            self._add_payload(direction, payload, now)

    def _new_bytes(self, packet: Packet, end: End) -> int:
        """How many bytes of the payload of a TCP segment were not there before."""
        after = packet.sequence + packet.payload + bool(packet.flags & (SYN | FIN)) & 0xFFFFFFFF
        if end.next is None or packet.flags & SYN:
            end.next = after
            return packet.payload
        new = after - end.next & 0xFFFFFFFF
        if new >> 31 or (new == 0 and packet.payload):
            self.retransmitted += packet.payload > 0
            return 0
        end.next = after
        return min(new, packet.payload)

    def _add_payload(self, direction: int, payload: int, now: float) -> None:
        if direction == 0:
            first, _, size = self.request or (now, now, 0)
            self.request = first, now, size + payload
        elif self.request is not None:
            first, last, size = self.request
            self.request = None
            self.calls.append(Call(first, size, payload, now - last, now - first))
            self.count += 1
        elif self.calls:
            call = self.calls[-1]
            self.calls[-1] = Call(
                call.time, call.request_bytes, call.reply_bytes + payload, call.latency_s, now - call.time
            )

    def comment(self) -> str:
        """Who sends to whom, for the comment of a frame; empty before both ends are known."""
        names = [f"{end.machine} {end.process}[{end.pids[0]}]" if end.pids else "" for end in self.ends]
        return " \u2192 ".join(names) if all(names) else ""

    def to_record(self) -> Flow:
        """What clients see of it."""
        latencies = sorted(call.latency_s for call in self.calls)
        source, destination = self.ends
        return Flow(
            number=self.number,
            protocol=protocol_name(self.key[0]),
            source=source.to_record(),
            destination=destination.to_record(),
            state="open" if self.is_open else "closed",
            started=self.started,
            last=self.last,
            call_count=self.count,
            calls=tuple(self.calls),
            latency_p50_s=latencies[len(latencies) // 2] if latencies else None,
            latency_p99_s=latencies[len(latencies) * 99 // 100] if latencies else None,
            retransmitted=self.retransmitted,
        )


class FlowTable:
    """The flows of one network. `forgotten` counts those that had to make room."""

    def __init__(self) -> None:
        self._by_ends: dict[_Key, tuple[LiveFlow, int]] = {}
        self._by_sender: dict[str, OrderedDict[int, LiveFlow]] = {}
        self._number = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return sum(map(len, self._by_sender.values()))

    def __iter__(self) -> Iterator[LiveFlow]:
        """Yield the flows, oldest first."""
        yield from sorted((flow for flows in self._by_sender.values() for flow in flows.values()), key=_number)

    def add(self, packet: Packet, sender: str, receiver: str, size: int, now: float) -> tuple[LiveFlow, bool]:
        """Count a frame of `size` bytes; returns its flow, and whether it is new.

        `receiver` is empty where the switch sent it to more than one machine.
        """
        found = self._by_ends.get(packet[:3])
        if found is None or self._is_over(found[0], packet, now):
            flow, direction, is_new = self._begin(packet, sender, receiver, now), 0, True
        else:
            (flow, direction), is_new = found, False
            if direction and not flow.ends[1].machine:
                flow.ends[1].machine = sender
        flow.add(packet, direction, size, now)
        return flow, is_new

    def close_idle(self, now: float) -> list[LiveFlow]:
        """Close the flows without connections that have been idle; returns them."""
        idle = [flow for flow in self if flow.is_open and flow.key[0] != TCP and now - flow.last > IDLE_S]
        for flow in idle:
            flow.is_open = False
        return idle

    @staticmethod
    def _is_over(flow: LiveFlow, packet: Packet, now: float) -> bool:
        if packet.protocol == TCP:
            return not flow.is_open and packet.flags & (SYN | ACK) == SYN
        return now - flow.last > IDLE_S

    def _begin(self, packet: Packet, sender: str, receiver: str, now: float) -> LiveFlow:
        self._number += 1
        flow = LiveFlow(self._number, packet, sender, receiver, now)
        flows = self._by_sender.setdefault(sender, OrderedDict())
        if len(flows) >= MOST_FLOWS:
            self._forget(flows)
        flows[flow.number] = flow
        protocol, source, destination = flow.key
        self._by_ends[flow.key] = flow, 0
        self._by_ends[protocol, destination, source] = flow, 1
        return flow

    def _forget(self, flows: OrderedDict[int, LiveFlow]) -> None:
        """Drop one that has ended, if the oldest few have one, else the oldest."""
        oldest = itertools.islice(flows.values(), _MOST_OLDEST)
        number = next((flow.number for flow in oldest if not flow.is_open), next(iter(flows)))
        flow = flows.pop(number)
        protocol, source, destination = flow.key
        for key in (flow.key, (protocol, destination, source)):
            if (found := self._by_ends.get(key)) is not None and found[0] is flow:
                del self._by_ends[key]
        self.forgotten += 1


def _number(flow: LiveFlow) -> int:
    return flow.number
