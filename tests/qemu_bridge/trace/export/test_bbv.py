"""Basic-block vectors, parsed by their published format."""

import re
from collections import Counter

from trace_program import LENGTHS

from qemu_bridge.trace.export import bbv
from qemu_bridge.trace.file.reader import TraceReader


def test_vectors_sum_to_the_counts(walk, two, tmp_path):
    streams = {tmp_path / "one": (walk[0], walk[1]), tmp_path / "two": (two[0], two[1])}
    for output, (path, truth) in streams.items():
        with TraceReader(path) as trace:
            bbv.write(trace, output, None, interval=7000)
        parts = (
            [(output, truth)] if output.name == "one" else [(output.with_name(f"two.{i}"), truth[i]) for i in (0, 1)]
        )
        for part, ids in parts:
            total: Counter[int] = Counter()
            lines = part.read_text().splitlines()
            assert len(lines) == -(-len(ids) * len(LENGTHS) // 7000)
            for line in lines:
                assert re.fullmatch(r"T:\d+:\d+( :\d+:\d+)*", line)
                pairs = [tuple(map(int, pair)) for pair in re.findall(r":(\d+):(\d+)", line)]
                assert sum(count for _, count in pairs) <= 7000 + len(LENGTHS)
                total.update(dict(pairs))
            assert total == {block: len(LENGTHS) * count for block, count in Counter(ids.tolist()).items()}
