"""What may be chosen of a machine. Nothing is imported, so the command line's help costs little."""

MACHINES = ("pc", "q35")
LAYOUTS = (*MACHINES, "flat")
"""How a raw RAM image may be laid out: as on a machine type, or without a hole."""
ACCELERATORS = ("tcg", "kvm")
