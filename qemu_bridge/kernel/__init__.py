"""What a Linux kernel in RAM says of itself: symbols, types, objects, the memmap, modules."""
