"""A machine's configuration, and the QEMU command line for it as a pure function.

>>> config = MachineConfig(name="demo", kernel=Path("vmlinux"), initrd=Path("initrd"), append="quiet")
>>> qemu_argv("qemu-system-x86_64", config, Endpoints(Path("/dev/shm/demo.ram"), Path("demo.qmp"), Path("console.log"), 3, 4, 5))[:2]
['qemu-system-x86_64', '-nodefaults']
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tcg_plugin import abi, layout

from ..errors import HostError, UsageError
from ..memory.addresses import format_size
from .choices import ACCELERATORS, MACHINES
from .gpu import GpuShare, gpu_words

NETDEV = "net"
"""The id of the network between guests in QEMU."""
RAM_BACKEND = "ram"
_ADVICE = (
    f"install QEMU {'.'.join(map(str, abi.minimum_release()))} or later"
    " (Debian: qemu-system-x86, on Debian 12 from its backports) or run ./bootstrap"
)
MINIMUM_MEMORY = 1 << 20
MEMORY_STEP = 8 << 10
"""QEMU 10.0 rounds ``-m`` up to this and then refuses a backend of any other size."""


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """What to boot and on what. `memory` is in bytes; `qemu_args` go to QEMU as they are, last.

    `append` is the whole kernel command line. Without a kernel, `qemu_args` must bring something to boot. `net` is the
    network between guests that it is on; empty: none. `learned` are the native libraries of learned loops (docs/learn.md), which
    with `shadow` are only compared with what QEMU does; with `unproved` those that are not proved run in place, too. `gpu` is its share of a GPU; None: it has none.
    """

    name: str
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    memory: int = 128 << 20
    smp: int = 1
    machine: str = "pc"
    accelerator: str = "tcg"
    image: str = ""
    image_id: str = ""
    qemu_args: tuple[str, ...] = ()
    net: str = ""
    learned: tuple[Path, ...] = ()
    shadow: bool = False
    unproved: bool = False
    gpu: GpuShare | None = None

    @property
    def most_vcpus(self) -> int:
        """How many vCPUs the machine may ever have, as far as ``-smp`` in `qemu_args` says so plainly."""
        most = self.smp
        for option, value in itertools.pairwise(self.qemu_args):
            if option in ("-smp", "--smp"):
                counts = re.findall(r"(?:^|,)(?:cpus=|maxcpus=)?(\d{1,4})(?=,|$)", value)
                most = max([most, *map(int, counts)])
        return min(most, 255)

    def validate(self) -> None:
        """Raise `UsageError` for a configuration that QEMU cannot start."""
        if self.memory < MINIMUM_MEMORY or self.memory % MEMORY_STEP:
            raise UsageError(
                f"{self.memory} bytes is not a supported size of guest RAM; give a multiple of 8K from {format_size(MINIMUM_MEMORY)} up, such as --memory 128M"
            )
        if not 1 <= self.smp <= 255:
            raise UsageError(f"{self.smp} is an unsupported number of vCPUs; give --smp a number from 1 to 255")
        if self.machine not in MACHINES:
            raise UsageError(f"machine type {self.machine!r} is not known; use {' or '.join(MACHINES)}")
        if self.accelerator not in ACCELERATORS:
            raise UsageError(f"accelerator {self.accelerator!r} is not known; use {' or '.join(ACCELERATORS)}")
        if self.learned:
            self._validate_learned()
        if self.gpu is not None:
            self.gpu.validate()
        for path in (self.kernel, self.initrd):
            if path is not None and not path.is_file():
                raise UsageError(f"there is no file {path}; give the path of a kernel or an initrd")

    @property
    def learned_mode(self) -> layout.Learned:
        """What is done with learned loops."""
        if self.shadow:
            return layout.Learned.SHADOW
        return layout.Learned.UNPROVED if self.unproved else layout.Learned.IN_PLACE

    def _validate_learned(self) -> None:
        if self.accelerator != "tcg":
            raise UsageError("learned loops run in place of QEMU's translation; leave out --accel or give 'tcg'")
        if self.most_vcpus != 1:
            raise UsageError("learned loops are for a machine of one vCPU; leave out --smp")
        if any("icount" in word for word in self.qemu_args):
            raise UsageError("learned loops are not counted by -icount; leave out one of them")
        if len(self.learned) > layout.MAX_LEARNED:
            raise UsageError(f"{len(self.learned)} learned loops are too many; give up to {layout.MAX_LEARNED}")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The RAM file and sockets of one QEMU: paths, and descriptors of connected sockets that it inherits.

    `plugin` is the trace plugin's library, `trace` its shared control file (docs/trace.md); both or none.
    `net_fd` is a stream socket that listens for a switch and `mac` the network card's address on it; both or none.
    `gpu_port` is the socket of the port for a GPU and `aperture` the file for its data, of a machine that has a share of one.
    """

    ram: Path
    qmp: Path
    console: Path
    monitor_fd: int
    agent_fd: int
    errors_fd: int
    plugin: Path | None = None
    trace: Path | None = None
    net_fd: int | None = None
    mac: str = ""
    gpu_port: Path | None = None
    aperture: Path | None = None


def qemu_argv(qemu: str, config: MachineConfig, endpoints: Endpoints) -> list[str]:
    """The command line that boots `config`: shared RAM, two QMP monitors, three serial ports, nothing else.

    The first serial port is the console log, the second the root shell of ``exec``, the fourth the standard error of its
    commands; the third is left to `qemu_args`. There is no network
    but one that `endpoints` brings, no GPU but the `gpu` of `config`, and no display, and QEMU may not spawn programs or gain privileges.
    """
    argv = [qemu, "-nodefaults", "-no-user-config", "-name", config.name, "-display", "none"]
    # Once a kernel has set QEMU's HPET to tick it wakes QEMU hundreds of times a second for ever, whether the guest idles or not.
    argv += ["-machine", f"{config.machine},memory-backend={RAM_BACKEND},hpet=off", "-accel", config.accelerator]
    if config.accelerator == "kvm":
        # Five-level paging is off: Volatility reads four levels.
        argv += ["-cpu", "max,la57=off"]
    argv += ["-m", f"{config.memory}B", "-smp", str(config.smp)]
    ram_path = str(endpoints.ram).replace(",", ",,")
    argv += ["-object", f"memory-backend-file,id={RAM_BACKEND},mem-path={ram_path},size={config.memory},share=on"]
    argv += ["-chardev", f"socket,id=monitor,fd={endpoints.monitor_fd}", "-mon", "chardev=monitor,mode=control"]
    qmp_path = str(endpoints.qmp).replace(",", ",,")
    argv += ["-qmp", f"unix:{qmp_path},server=on,wait=off"]
    console_path = str(endpoints.console).replace(",", ",,")
    argv += ["-chardev", f"file,id=console,path={console_path},append=on", "-serial", "chardev:console"]
    argv += ["-chardev", f"socket,id=agent,fd={endpoints.agent_fd}", "-serial", "chardev:agent"]
    # An interrupt of its own: the fourth port shares that of the second otherwise, and QEMU's ISA bus cannot share.
    argv += ["-chardev", f"socket,id=errors,fd={endpoints.errors_fd}"]
    argv += ["-device", "isa-serial,chardev=errors,index=3,irq=7"]
    argv += ["-nic", "none", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    if endpoints.net_fd is not None:
        argv += ["-netdev", f"stream,id={NETDEV},server=on,addr.type=fd,addr.str={endpoints.net_fd}"]
        # No option ROM: nothing boots from this card, and its file is in a package of its own.
        argv += ["-device", f"virtio-net-pci,netdev={NETDEV},mac={endpoints.mac},romfile="]
    if config.gpu is not None and endpoints.gpu_port is not None and endpoints.aperture is not None:
        argv += gpu_words(config.gpu, endpoints.gpu_port, endpoints.aperture)
    if endpoints.plugin is not None:
        plugin, trace = (str(path).replace(",", ",,") for path in (endpoints.plugin, endpoints.trace))
        learned = "".join(f",learned={str(path).replace(',', ',,')}" for path in config.learned)
        argv += ["-plugin", f"file={plugin},control={trace}{learned}"]
    if config.kernel is not None:
        argv += ["-kernel", str(config.kernel)]
    if config.initrd is not None:
        argv += ["-initrd", str(config.initrd)]
    if config.append:
        argv += ["-append", config.append]
    return argv + list(config.qemu_args)


def find_qemu() -> str:
    """Path of a QEMU that is recent enough (``GLASSBOX_QEMU`` goes first); `HostError` says what to install."""
    wanted = os.environ.get("GLASSBOX_QEMU") or "qemu-system-x86_64"
    path = shutil.which(wanted)
    if path is None:
        raise HostError(f"{wanted} is not on this machine; {_ADVICE}")
    release = qemu_release(path)
    if release < abi.minimum_release():
        raise HostError(f"{path} is QEMU {release[0]}.{release[1]}; {_ADVICE}")
    return path


@functools.cache
def qemu_release(path: str) -> tuple[int, int]:
    """(major, minor) of the QEMU at `path`; `HostError` if it prints none."""
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        match = re.search(r"version (\d+)\.(\d+)", text)
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(
            f"{path} does not run ({error}); install QEMU again or point GLASSBOX_QEMU at another"
        ) from None
    if match is None:
        raise HostError(f"{path} prints no version; point GLASSBOX_QEMU at a qemu-system-x86_64")
    return int(match[1]), int(match[2])


def find_plugin(qemu: str, config: MachineConfig) -> Path:
    """Path of the trace plugin for a machine of `config` on program `qemu`, compiled if necessary.

    `HostError` says why there is none; the machine runs without it.
    """
    # Imported here: only starting a machine needs it.
    from tcg_plugin.build import BuildError, find_library

    release = qemu_release(qemu)
    if os.environ.get("GLASSBOX_NO_TRACE"):
        raise HostError("GLASSBOX_NO_TRACE is set; unset it to start machines that can be traced")
    if config.accelerator != "tcg":
        raise HostError("only translated code is traced; start the machine with --accel tcg")
    library = abi.PLUGIN_BY_API.get(abi.plugin_api(release))
    if library is None or release > abi.NEWEST_RELEASE:
        raise HostError(
            f"the trace plugin does not support QEMU {release[0]}.{release[1]}; use QEMU 9.2 to 11.1 to trace"
        )
    try:
        return find_library(library)
    except BuildError as error:
        raise HostError(str(error)) from None


def check_ram_space(folder: Path, size_bytes: int) -> None:
    """`HostError` when `folder` cannot hold `size_bytes` more of guest RAM: a QEMU would be killed later, without a message.

    What counts is what the guests there were promised, not what they use now. With 0 bytes: whether promises can be kept.
    """
    try:
        status = os.statvfs(folder)
    except OSError as error:
        raise HostError(
            f"guest RAM cannot be stored in {folder} ({error.strerror}); mount a tmpfs there, or set GLASSBOX_RAM_DIR to a"
            " folder on one"
        ) from None
    free, promised = status.f_bavail * status.f_frsize, _promised_bytes(folder)
    if free - promised < size_bytes:
        others = f", of which other guests may still fill {promised >> 20} MiB" if promised else ""
        needed = f"the guest needs {size_bytes >> 20} MiB" if size_bytes else "another was started at the same moment"
        raise HostError(
            f"{folder} has {free >> 20} MiB free{others}; {needed}: give less --memory, enlarge it (a"
            " container takes --shm-size=1g), or set GLASSBOX_RAM_DIR to a folder on a larger tmpfs"
        )


def _promised_bytes(folder: Path) -> int:
    """What the files of guests in `folder` may still grow by: RAM that they have and did not touch yet."""
    promised = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith("glassbox-") and entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    promised += max(0, found.st_size - 512 * found.st_blocks)
    return promised
