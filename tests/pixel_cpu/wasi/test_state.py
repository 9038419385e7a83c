"""What lanes have open is theirs until it is closed."""

import numpy as np
from wasi_runs import Ours, opened, wasi

from pixel_cpu.wasi import Preopen


def test_descriptors_of_one_lane_are_closed_and_the_others_stay(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with wasi(4, directories=[Preopen(tmp_path, "/", True)]) as host:
        ours = Ours(host, 4)
        opened(ours, b"file")
        host.finish(np.array([1, 3]))
        number = int(host.descriptors.table["file"][0, 4])
        assert host.files[number].users == 2 and host.is_writable(np.array([0]), np.array([4])).all()
        host.finish(np.arange(4))
        assert host.files.opened == 1
