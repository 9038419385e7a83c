"""How large programs and launches may be; each limit has its one name here."""

MAX_GROUP = 1024
"""Lanes of a group, at most."""
MAX_LANES = 1 << 31
"""Lanes of a launch, at most."""
MAX_LENGTH = (1 << 31) - 1
"""Elements of a buffer, at most: what a signed index of 32 bits reaches."""
MAX_DECLARED = 1 << 20
"""Elements of a memory whose length the program states, at most."""
MAX_WORKGROUP_BYTES = 32 << 10
"""Workgroup memory of a kernel, at most; no GPU of the last decade has less than half of it."""
MAX_PRIVATE_BYTES = 64 << 10
"""Private memory of a lane, at most."""
MAX_BURNT = (1 << 31) - 1
"""Fuel that one way round a loop burns, at most."""
MAX_DEPTH = 200
"""Regions inside each other, calls included; deeper programs are refused."""
MAX_OPERATIONS = 1 << 20
"""Operations of a kernel with its calls inlined. Calls burn no fuel, so that this bounds what a lane does between loops."""
