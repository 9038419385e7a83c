"""Control and events: round trips against a bare ZeroMQ echo, events to many subscribers, and how soon a watcher knows of a write."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import zmq

from qemu_bridge.client import Client
from qemu_bridge.client.local import shared_context
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire import messages
from qemu_bridge.wire.event_records import ViewerEvent
from qemu_bridge.wire.operations import Operations
from viewer.sources.machine import MachineSource
from viewer.sources.watcher import MemoryWatcher

from .booted import booted
from .figures import Figure, paired_medians, seconds

_NAME = "bench-control"
# Few at a time, and often: how fast a process wakes changes several times a second on a shared host.
_ROUND_TRIPS, _TIMES = 30, 10
_SUBSCRIBERS, _EVENTS = 10, 2000
_WRITES, _BETWEEN_S = 60, 0.15
_ECHO = """
import sys, zmq

socket = zmq.Context().socket(zmq.ROUTER)
socket.bind(sys.argv[1])
reply = sys.stdin.buffer.read()
print(flush=True)
while True:
    who, _ = socket.recv_multipart()
    socket.send_multipart([who, reply])
"""
_TICKS = "i=0; while :; do i=$((i+1)); printf 'glassbox-tick-%08d' $i | dd of=/tmp/tick conv=notrunc 2>/dev/null; sleep {}; done"


def measure(rounds: int) -> list[Figure]:
    """Round trips of `describe`, what ten subscribers of a machine lose, and the time from a store to the viewer's watcher."""
    with booted(_NAME) as client:
        return [*_measure_round_trips(client, rounds), _measure_events(client), *_measure_watcher(client)]


def _measure_round_trips(client: Client, rounds: int) -> list[Figure]:
    request = messages.Call(1, Operations.describe, {}).frame
    with contextlib.closing(shared_context().socket(zmq.DEALER)) as own:
        own.connect(client.connection.control)
        own.send(request)
        reply = own.recv()
        with _echo(f"{client.connection.control}-echo", reply) as echo:
            ours, theirs, ratio = paired_medians(
                lambda: seconds(lambda: _ask(own, request)),
                lambda: seconds(lambda: _ask(echo, request)),
                rounds * _TIMES,
            )
            by_client, _, client_ratio = paired_medians(
                lambda: seconds(lambda: [client.describe() for _ in range(_ROUND_TRIPS)]),
                lambda: seconds(lambda: _ask(echo, request)),
                rounds * _TIMES,
            )
    sizes = f"{len(request)} bytes there, {len(reply)} back"
    detail = f"{1e6 * ours / _ROUND_TRIPS:.0f} us against {1e6 * theirs / _ROUND_TRIPS:.0f} us; {sizes}"
    return [
        Figure("control round trips / bare pyzmq echo", 1 / ratio, "x", ">= 0.4", detail),
        Figure(
            "the same by Client, which decodes and checks it",
            1 / client_ratio,
            "x",
            ">= 0.4",
            f"{1e6 * by_client / _ROUND_TRIPS:.0f} us for describe()",
        ),
    ]


def _ask(socket: zmq.Socket[bytes], request: bytes) -> None:
    for _ in range(_ROUND_TRIPS):
        socket.send(request)
        socket.recv()


@contextlib.contextmanager
def _echo(address: str, reply: bytes) -> Iterator[zmq.Socket[bytes]]:
    """A socket to a process that sends `reply` to whatever comes."""
    words = [sys.executable, "-c", _ECHO, address]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(reply)
        process.stdin.close()
        process.stdout.readline()
        with contextlib.closing(shared_context().socket(zmq.DEALER)) as socket:
            socket.connect(address)
            yield socket
        process.terminate()
    os.unlink(address.removeprefix("ipc://"))


def _measure_events(client: Client) -> Figure:
    """Events that ten subscribers lost of those that followed each other as fast as they can be asked for."""
    begun, over, lost = threading.Barrier(_SUBSCRIBERS + 1), threading.Event(), []

    def follow() -> None:
        with Client.connect(_NAME) as own:
            session = own.viewer_join(os.getpid())
            last = 0
            for event in own.events(session, over.is_set):
                if not last:
                    last = 1
                    begun.wait()
                if isinstance(event, ViewerEvent):
                    numbers.setdefault(session, set()).add(event.number)
                    if len(numbers[session]) == _EVENTS:
                        break
        lost.append(_EVENTS - len(numbers.get(session, ())))

    numbers: dict[int, set[int]] = {}
    threads = [threading.Thread(target=follow) for _ in range(_SUBSCRIBERS)]
    for thread in threads:
        thread.start()
    begun.wait()
    took = seconds(lambda: [client.fly_to(view="yaw=1") for _ in range(_EVENTS)])
    for thread in threads:
        thread.join(timeout=30)
    over.set()
    for thread in threads:
        thread.join()
    detail = f"of {_EVENTS} events to each of {_SUBSCRIBERS} subscribers, {_EVENTS / took:.0f} a second"
    return Figure("events that subscribers lost", sum(lost), "", "<= 0", detail)


def _measure_watcher(client: Client) -> list[Figure]:
    """From a store of the guest until the viewer's watcher calls back: the store is seen by looking at its page every millisecond."""
    client.exec(f"({_TICKS.format(_BETWEEN_S)}) >/dev/null 2>&1 </dev/null &")
    with MachineSource(_NAME) as source:
        offset = _find_ticks(client)
        view, page = source.ram.view, offset >> PAGE_SHIFT
        told: dict[bytes, float] = {}

        def wake() -> None:
            now = time.monotonic()
            if page in watcher.take_changes(len(view))[0]:
                told.setdefault(bytes(view[offset : offset + 22]), now)

        watcher = MemoryWatcher(source, wake)
        watcher.start()
        written: dict[bytes, float] = {}
        deadline = time.monotonic() + 10 * _WRITES * _BETWEEN_S
        while (len(written) < 2 or len(written.keys() & told.keys()) < _WRITES) and time.monotonic() < deadline:
            written.setdefault(bytes(view[offset : offset + 22]), time.monotonic())
            time.sleep(0.001)
        watcher.stop()
    client.exec("pkill -f glassbox-tick")
    first = next(iter(written))
    times = sorted(told[text] - written[text] for text in written.keys() & told.keys() - {first})
    if len(times) < 2:
        raise RuntimeError("the watcher told of none of the guest's writes")
    quantiles = statistics.quantiles(times, n=100)
    detail = f"of {len(times)} stores to one page, {len(written) - 1 - len(times)} were followed by another before they were told"
    return [
        Figure(f"from a guest's store to the watcher, {name}", 1e3 * quantiles[place], "ms", "", detail)
        for name, place in (("median", 49), ("99th percentile", 98))
    ]


def _find_ticks(client: Client) -> int:
    """The RAM offset of the page of /tmp/tick."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ranges = client.resolve("file:/tmp/tick").value.ranges
        if ranges:
            return int(ranges[0].ram_offset)
        time.sleep(0.1)
    raise RuntimeError("the guest did not write /tmp/tick")
