"""Process VMs: jobs of this host on some of its processors, within a limit of memory, that take nothing along when they crash.

>>> with ProcessVm.create("small", VmLimits(cores=(0,), memory_bytes=1 << 30)) as vm:
...     vm.run(["python", "train.py"]).status
0

A VM is a *keeper*, a process that starts its commands, sums what they have, and ends them all when it ends.
"""

from .limits import VmLimits
from .protocol import VmStatus
from .vm import ProcessVm, find_vm, iter_vms

__all__ = ["ProcessVm", "VmLimits", "VmStatus", "find_vm", "iter_vms"]
