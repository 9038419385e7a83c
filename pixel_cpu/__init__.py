"""A compute floor: kernels of one small typed IR, run on CPU lanes or on any GPU, with the same bits."""
