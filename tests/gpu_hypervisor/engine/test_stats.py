"""What goes on, as it is told."""

import msgspec
import numpy as np
from hypervisor_kernels import work

from gpu_hypervisor import Stats


def test_stats_add_up_and_travel(hypervisor, opened):
    one, other = opened(weight=3.0), opened(weight=1.0)
    handle = one.allocate(1000)
    for tenant in (one, other):
        for _ in range(3):
            tenant.submit(work(np.zeros(100, "u4"), 5, label="a program")).result(120)
    stats = hypervisor.stats()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(stats), type=Stats) == stats
    found = {each.name: each for each in stats.tenants}
    assert sum(each.share for each in stats.tenants) == 1 or abs(sum(each.share for each in stats.tenants) - 1) < 1e-9
    assert (found[one.name].asked, found[other.name].asked) == (0.75, 0.25)
    assert found[one.name].ended == 3 and found[one.name].buffers == 1 and found[one.name].memory_bytes == 1000
    assert stats.slices >= 6 and stats.busy_seconds > 0 and stats.switch_p99_us >= stats.switch_p50_us
    one.free(handle)
