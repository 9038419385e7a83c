"""One QEMU: its command line, how it is launched, its QMP monitor, the shell inside the guest."""
