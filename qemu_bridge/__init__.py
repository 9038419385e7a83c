"""One virtual machine, seen from outside: launch, QMP, RAM, symbols, introspection, tracing, daemon, clients.

Three concepts:

* a *machine* is a QEMU with its daemon; `qemu_bridge.client.Client` talks to it,
* its *RAM* is a shared file, read in place (`qemu_bridge.memory.ram.GuestRam`),
* its *names* come from that RAM alone (`qemu_bridge.kernel.symbols.KernelSymbols`).

Nothing is imported here, so `import qemu_bridge` is fast and loads neither Volatility nor wgpu.
"""

__version__ = "0.1.0"
