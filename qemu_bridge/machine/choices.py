"""What may be chosen of a machine. Nothing is imported, so the command line's help costs little."""

MACHINES = ("pc", "q35")
ACCELERATORS = ("tcg", "kvm")
