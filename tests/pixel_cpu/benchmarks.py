"""Benchmarks that nobody measured, for tests of what is made of them."""

from pixel_cpu.benchmark import Benchmark, Bound, Measurement, Rate, Roofline, Unit

FLOPS, OPS, MEMORY = 100e9, 50e9, 10e9


def a_measurement(kernel, intensity, share, unit=Unit.FLOP, device="cpu"):
    """A kernel that reaches a share of its roof."""
    peak = FLOPS if unit is Unit.FLOP else OPS
    roof = min(peak, intensity * MEMORY)
    moved = 1 << 20
    work = int(intensity * moved)
    seconds = work / (share * roof)
    return Measurement(
        kernel=kernel,
        device=device,
        backend="lane-c",
        shape="1024",
        dtype="f32",
        lanes=1024,
        group=64,
        launches=1,
        threads=2,
        seconds=seconds,
        spread=0.02,
        clock="host",
        unit=unit,
        work=work,
        counted="formula: 2 n",
        rate=work / seconds,
        bytes=moved,
        bytes_per_second=moved / seconds,
        footprint=moved,
        error=1e-7,
        is_right=True,
        intensity=intensity,
        bound=Bound.MEMORY if roof < peak else Bound.COMPUTE,
        roof=roof,
        share=share,
    )


def a_benchmark(*more, devices=("cpu",)):
    """Roofs of some devices, a kernel under each roof, and `more` measurements."""
    roofs = {1 << 20: Rate(4 * MEMORY, 0.1, "copy"), 128 << 20: Rate(MEMORY, 0.01, "read 4, write 1")}
    rooflines = [
        Roofline(device, f"{device}: made up", 2, Rate(FLOPS, 0.005, "fma"), Rate(OPS, 0.03, "add and xor"), roofs)
        for device in devices
    ]
    measured = (
        a_measurement("saxpy", 1 / 6, 0.9),
        a_measurement("matmul", 40, 0.5),
        a_measurement("sort", 0.5, 0.1, Unit.OP),
        *more,
    )
    return Benchmark(tuple(rooflines), measured, 7, 1.5, 2)
