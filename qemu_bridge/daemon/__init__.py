"""The daemon of one machine: starts QEMU or attaches to a backend, and serves it until it ends."""
