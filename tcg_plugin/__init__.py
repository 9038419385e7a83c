"""What Glass Box and QEMU's translator agree on."""
