"""The errors that Glass Box raises.

A message is one sentence that says what went wrong and ends with what to try; the command line prints
it without a traceback. A class exists only where someone catches it::

    GlassBoxError
    ├── UsageError (ValueError)          invalid argument: exit status 2
    │   ├── AddressError                 an address outside RAM, or one that is not mapped
    │   └── UnknownMachineError (KeyError)
    ├── BusyNameError                    a machine of this name runs already
    ├── HostError                        something the host lacks: QEMU, Vulkan, a mirror
    │   ├── ImageError                   a guest image is unavailable or invalid
    │   └── GraphicsError                no Vulkan adapter, or one that is too small
    ├── MachineError                     QEMU or the daemon refused, died or did not answer
    │   ├── MachineGoneError             the machine has ended
    │   ├── JobCancelledError            a job was cancelled, by its client or by another
    │   └── PageMapOverwrittenError      a newer one was published meanwhile
    ├── TraceError                       a trace file is damaged or not a trace
    └── GuestError                       guest RAM cannot be interpreted
        ├── NotBootedError               no kernel in RAM yet
        ├── LayoutError                  where the kernel's RAM lies in the file is unknown
        └── NoTypesError                 a kernel without BTF: no types, so no processes
"""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2


class GlassBoxError(Exception):
    """Root of the tree; `exit_status` is the command line's."""

    exit_status = EXIT_FAILED

    def __str__(self) -> str:
        # KeyError would print the repr of its argument; a message is a sentence.
        return str(self.args[0]) if self.args else type(self).__name__


class UsageError(GlassBoxError, ValueError):
    """A mistake of the caller: a request or an argument that cannot be. The same request will fail again."""

    exit_status = EXIT_USAGE


class AddressError(UsageError):
    """An address that guest RAM does not hold, or that no page table maps."""


class UnknownMachineError(UsageError, KeyError):
    """No machine of that name runs."""


class BusyNameError(GlassBoxError):
    """A machine of that name runs already."""


class HostError(GlassBoxError):
    """The host lacks something: QEMU, a compiler, a mirror, room on a disk."""


class ImageError(HostError):
    """A guest image is unavailable, or does not match its recipe."""


class GraphicsError(HostError):
    """No Vulkan adapter, or one that cannot hold the picture."""


class MachineError(GlassBoxError):
    """QEMU or the daemon refused a request, failed, or did not answer in time."""


class MachineGoneError(MachineError):
    """The machine ended during a request."""


class JobCancelledError(MachineError):
    """A job was cancelled before it was done; what it had written is removed."""


class PageMapOverwrittenError(MachineError):
    """A newer page map was published while one was read; asking again helps."""


class TraceError(GlassBoxError):
    """A trace file is damaged or not a trace."""


class GuestError(GlassBoxError):
    """Guest RAM does not contain what was looked for, or cannot be understood."""


class NotBootedError(GuestError):
    """No kernel has booted yet; ask again."""


class LayoutError(GuestError):
    """There is a kernel in RAM, but where its RAM lies in the file could not be found out."""


class NoTypesError(GuestError):
    """The kernel carries no BTF, so its structures cannot be read."""
