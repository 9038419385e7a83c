"""Messages between a launcher and a new daemon: a request on standard input, an answer on standard output, one line of JSON each.

>>> decode_request(encode_request(StartRequest(MachineConfig("demo"), "qemu-system-x86_64"))).config.name
'demo'
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from ..wire.records import Record
from ..wire.trace_records import ArmOptions
from .config import MachineConfig


class RamCopy(Record, frozen=True):
    """What a file with a copy of RAM holds.

    Attributes:
        size: of the RAM in bytes. runs: (start, end) of its parts with data, ascending; the rest was never touched.
        checksum: CRC-32 of those parts, one after the other.
    """

    size: int
    runs: tuple[tuple[int, int], ...]
    checksum: int


class Moment(Record, frozen=True):
    """A moment of another machine at which a new one begins, in place of a boot.

    Attributes:
        ram, devices: files with its RAM, and the state of its vCPUs and devices as QEMU's migration writes it.
        copy: what `ram` holds, of which the machine makes a file of its own; None: it takes the file `ram` itself.
        random: (RAM offset, bytes) of the state of the guest's random numbers, which is made anew.
        is_ready, is_running: the guest's user space was up, and its vCPUs go on at once.
        hostname: what the guest is to be called; empty: as it is called already.
        console: a file with what it printed until then, as far as `is_ready` and `panic` do not tell it already; None: there is none.
        panic: why the guest's kernel gave up; empty where it did not.
        checksum: CRC-32 of `devices`; None where nobody can have replaced that file.
    """

    ram: Path
    devices: Path
    copy: RamCopy | None
    random: tuple[tuple[int, int], ...]
    is_ready: bool = True
    is_running: bool = True
    hostname: str = ""
    console: Path | None = None
    checksum: int | None = None
    panic: str = ""


class StartRequest(Record, frozen=True, tag="start"):
    """Start the machine of `config` on the program `qemu`.

    Attributes:
        plugin, no_plugin: the trace plugin to load, or why there is none.
        trace, reader_pid: a window to arm before the first instruction, and the process that will read it.
        listen: where to serve other hosts, ``tcp://ADDRESS:PORT``; empty for nowhere.
        moment: where it begins; None: it boots.
        keep: what a boot depends on (`timeline.warm`): its state is kept under that as soon as user space is up; None: it is not kept.
    """

    config: MachineConfig
    qemu: str
    plugin: Path | None = None
    no_plugin: str = ""
    trace: ArmOptions | None = None
    reader_pid: int = 0
    listen: str = ""
    moment: Moment | None = None
    keep: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Of the machine."""
        return self.config.name


class AttachRequest(Record, frozen=True, tag="attach"):
    """What to attach to as machine `name`: the QEMU behind a QMP socket, a capture's folder, or a RAM image.

    Attributes:
        layout: where the RAM of an image lies (`addresses.parse_layout`); empty: find it from the kernel in the image.
        dump: the file that the image is of; the image itself where that has RAM and nothing else.
        caveats: what the dump ought to hold and does not.
        is_brief: it was asked for by a path, not a name: end some seconds after the last client.
        listen: as in `StartRequest`.
    """

    name: str
    qmp: Path | None = None
    ram: Path | None = None
    layout: str = ""
    capture: Path | None = None
    dump: Path | None = None
    caveats: tuple[str, ...] = ()
    is_brief: bool = False
    listen: str = ""


class StartAnswer(Record, frozen=True):
    """Whether the daemon serves the machine, else the class and message of the error."""

    ok: bool
    kind: str = ""
    message: str = ""


def encode_request(request: StartRequest | AttachRequest) -> bytes:
    """The request as JSON."""
    return msgspec.json.encode(request, enc_hook=os.fspath)


def decode_request(text: bytes) -> StartRequest | AttachRequest:
    """The request in `text`; `msgspec.DecodeError` if it is invalid."""
    request: StartRequest | AttachRequest = msgspec.json.decode(
        text, type=StartRequest | AttachRequest, dec_hook=_to_path
    )
    return request


def _to_path(kind: type, value: Any) -> Path:  # noqa: ANN401  # msgspec asks for what it does not know
    assert kind is Path
    return Path(value)
