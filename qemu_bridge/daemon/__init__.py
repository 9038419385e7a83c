"""The daemon of one machine: it starts QEMU or attaches to what is there, and serves it until it ends."""
