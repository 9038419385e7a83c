"""The QEMU plugin in C, its ABI mirrored in Python, and its build."""
