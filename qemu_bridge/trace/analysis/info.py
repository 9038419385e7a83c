"""The metadata of a trace: its header and summary, where chunks were dropped, what takes how much of the file.

>>> info = read_info(Path("demo.gbt"))
>>> info.trace.instructions, info.bytes_per_instruction, info.sections["dictionary"]
(693214221, 0.0147, 4451027)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tcg_plugin.layout import Mode

from ..file.format import Section
from ..file.reader import TraceInfo, TraceReader


@dataclass(frozen=True, slots=True)
class DroppedChunks:
    """Chunks of a vCPU's ring that were dropped because the recorder was too slow."""

    frame: int
    vcpu: int
    block: int
    """The vCPU's blocks before them."""
    time_ns: int
    """Wall time of the chunk that follows them."""
    words: int
    chunks: int


@dataclass(frozen=True, slots=True)
class TraceMetadata:
    """What a trace holds, without its contents."""

    trace: TraceInfo
    gaps: tuple[DroppedChunks, ...]
    sections: dict[str, int]
    """Bytes in the file of each kind of section."""

    @property
    def bytes_per_instruction(self) -> float:
        """Size of the file for each recorded instruction."""
        return self.trace.file_bytes / max(1, self.trace.instructions)


def read_info(path: Path) -> TraceMetadata:
    """The metadata of the trace at `path`; nothing is decoded for it.

    `TraceError` if it is not a trace or damaged, `UsageError` if it cannot be read.
    """
    with TraceReader(path) as trace:
        return TraceMetadata(trace.info, tuple(_find_gaps(trace)), _section_sizes(trace))


def _section_sizes(trace: TraceReader) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for number in range(len(trace)):
        for row in trace.file.sections(number):
            name = _section_name(int(row["kind"]))
            sizes[name] = sizes.get(name, 0) + int(row["bytes"])
    return sizes


def _section_name(kind: int) -> str:
    return Section(kind).name.lower() if kind in Section._value2member_map_ else f"kind {kind}"


def _find_gaps(trace: TraceReader) -> list[DroppedChunks]:
    """By what the header of the chunk behind each gap says."""
    summary = trace.info.summary
    if trace.info.about.get("mode", Mode.LOSSLESS) == Mode.LOSSLESS and summary and not summary.get("lost_words"):
        return []
    return [
        DroppedChunks(
            frame=frame.number,
            vcpu=vcpu,
            block=int(chunk["first_block"]),
            time_ns=int(chunk["time_ns"]),
            words=int(chunk["lost_words"]),
            chunks=int(chunk["lost_chunks"]),
        )
        for frame in trace.frames()
        for vcpu in range(trace.vcpus)
        for chunks in [frame.chunks(vcpu)]
        for chunk in chunks[chunks["lost_words"] > 0]
    ]
