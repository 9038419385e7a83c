"""Devices beside each other see the same arrays."""

import numpy as np

import pixel_cpu

DOUBLE = """
kernel double() {
  buffer @x: f32
  %i = global_id : u32
  %v = load @x %i trap : f32
  %w = add %v, %v : f32
  store @x %i, %w trap
  return
}
"""


def test_a_device_beside_another_runs_kernels_on_its_arrays_in_place():
    double = pixel_cpu.loads(DOUBLE, language="ir").kernel()
    with pixel_cpu.Device("cpu", memory=1 << 20) as one, pixel_cpu.Device("reference", beside=one) as other:
        x, y = one.array(np.arange(100, dtype="f4")), other.array(np.ones(100, "f4"))
        assert one.is_shared(y) and other.is_shared(x) and one.ledger is other.ledger and one.ledger.bytes == 800
        for device in (one, other, one):
            double.launch(100, x=y, device=device)
        assert (y == 8).all()
        del y
        assert one.ledger.bytes == 400
        for device in (one, other):  # both workers give back what they had mapped
            double.launch(100, x=x, device=device)
        assert (x == 4 * np.arange(100)).all()
