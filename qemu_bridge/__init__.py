"""One virtual machine, seen from outside: launch, QMP, RAM, symbols, semantics, service.

Three nouns carry the whole package:

* a *machine* is a QEMU that a daemon keeps (`qemu_bridge.client.Client` talks to it),
* its *RAM* is a shared file, read in place (`qemu_bridge.memory.ram.GuestRam`),
* its *names* come out of that RAM alone (`qemu_bridge.kernel.symbols.KernelSymbols`).

Nothing is imported here, so `import qemu_bridge` costs nothing and loads neither Volatility nor wgpu.
"""

__version__ = "0.1.0"
