"""One QEMU: its command line, its launch, its QMP monitor, the shell inside the guest."""
