"""What runs a kernel: the reference executor, lanes in C, WGSL, Numba."""
