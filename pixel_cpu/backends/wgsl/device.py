"""The device behind the back end: buffers that stay on it, pipelines by their text, answers read back.

wgpu reports what goes wrong by exceptions of its own, and a lost device the same way: `guarded` makes them `DeviceError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import wgpu

from gpu_device.device import TIMESTAMPS, adapter_name, request_adapter, request_compute_device
from qemu_bridge.errors import GraphicsError

from ...errors import DeviceError, LaunchError

_STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
_GUARD_BYTES = 8
"""Behind each buffer: unaligned reads look at the next word."""

Array = np.ndarray[Any, np.dtype[Any]]


class Device:
    """A wgpu device. ``Device.default()`` is one for the whole process."""

    _default: Device | None = None
    _lock = threading.Lock()

    def __init__(self, device: wgpu.GPUDevice | None = None, name: str = "") -> None:
        if device is None:
            try:
                adapter = request_adapter()
                device, name = request_compute_device(adapter), adapter_name(adapter)
            except GraphicsError as error:
                raise DeviceError(str(error)) from None
        self.device, self.name = device, name
        self.lost = ""
        """Why the device is of no use any more."""
        self.features = frozenset(str(name) for name in device.features)
        self.has_timestamps = TIMESTAMPS in self.features
        self._pipelines: dict[str, tuple[Any, Any]] = {}
        self._staging = self._buffer(256, wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST)
        if self.has_timestamps:
            self.queries = device.create_query_set(type="timestamp", count=2)
            self.times = self._buffer(16, wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC)

    @classmethod
    def default(cls) -> Device:
        """The device of this process, opened at the first call; a lost one is opened anew."""
        with cls._lock:
            if cls._default is None or cls._default.lost:
                cls._default = cls()
            return cls._default

    def limit(self, name: str) -> int:
        """A limit by its name in WebGPU."""
        return int(self.device.limits[name])

    def _buffer(self, size: int, usage: int) -> Any:  # noqa: ANN401  # wgpu has no types
        return self.device.create_buffer(size=size, usage=usage)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn wgpu's exceptions into `DeviceError`; refuses at once where the device was lost before."""
        if self.lost:
            raise DeviceError(f"{self.name} was lost ({self.lost}); open it anew")
        try:
            yield
        except (wgpu.GPUError, RuntimeError) as error:
            text = " ".join(str(error).split())
            if "lost" in text.lower() or "destroyed" in text.lower():
                self.lost = text[:200]
                raise DeviceError(f"{self.name} was lost: {self.lost}") from None
            raise DeviceError(f"{self.name} failed: {text[:600]}") from None

    def lose(self) -> None:
        """Give the device up, as a driver does that resets; what uses it afterwards raises `DeviceError`."""
        self.lost = "destroyed by its owner"
        self.device.destroy()

    def storage(self, size: int) -> Any:  # noqa: ANN401
        """A storage buffer of at least so many bytes, zero at first."""
        size = -(-(size + _GUARD_BYTES) // 16) * 16
        most = min(self.limit("max-storage-buffer-binding-size"), self.limit("max-buffer-size"))
        if size > most:
            raise LaunchError(
                f"{size:,} bytes in one buffer; {self.name} binds at most {most:,}: launch over parts of the array"
            )
        with self.guarded():
            return self._buffer(size, _STORAGE)

    def uniform(self, size: int) -> Any:  # noqa: ANN401
        """A uniform buffer."""
        with self.guarded():
            return self._buffer(size, wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST)

    def pipeline(self, text: str, kinds: Sequence[str]) -> tuple[Any, Any]:
        """The pipeline of a shader and the layout of its bindings, which are of `kinds`; one for each text."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest not in self._pipelines:
            entries = [
                {"binding": place, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": kind}}
                for place, kind in enumerate(kinds)
            ]
            with self.guarded():
                bindings = self.device.create_bind_group_layout(entries=entries)
                layout = self.device.create_pipeline_layout(bind_group_layouts=[bindings])
                module = self.device.create_shader_module(code=text)
                found = self.device.create_compute_pipeline(
                    layout=layout, compute={"module": module, "entry_point": "main"}
                )
                self._pipelines[digest] = found, bindings
        return self._pipelines[digest]

    def write(self, buffer: Any, array: Array) -> None:  # noqa: ANN401
        """Copy an array into a buffer."""
        if array.nbytes == 0:
            return
        raw = array.reshape(-1).view(np.uint8)
        whole = raw.nbytes & ~3
        with self.guarded():
            if whole:
                self.device.queue.write_buffer(buffer, 0, raw[:whole])
            if whole < raw.nbytes:  # WebGPU writes whole words
                rest = np.zeros(4, np.uint8)
                rest[: raw.nbytes - whole] = raw[whole:]
                self.device.queue.write_buffer(buffer, whole, rest)

    def read(self, buffer: Any, size: int, offset: int = 0) -> Array:  # noqa: ANN401
        """Bytes of a buffer, copied."""
        if size == 0:
            return np.zeros(0, np.uint8)
        with self.guarded():
            found = self.device.queue.read_buffer(buffer, offset, -(-size // 4) * 4)
            return np.frombuffer(found, np.uint8)[:size]

    def submit_and_read(self, encoder: Any, source: Any, size: int) -> Array:  # noqa: ANN401
        """Submit what was encoded, with a copy of up to 240 bytes of `source` and the timestamps behind it; gives the bytes."""
        encoder.copy_buffer_to_buffer(source, 0, self._staging, 0, size)
        if self.has_timestamps:
            encoder.resolve_query_set(self.queries, 0, 2, self.times, 0)
            encoder.copy_buffer_to_buffer(self.times, 0, self._staging, size, 16)
        self.device.queue.submit([encoder.finish()])
        # wgpu's plain "READ" submits once more, for who maps what was not copied just before.
        self._staging.map_sync("READ_NOSYNC", 0, 256)
        found = np.frombuffer(bytes(self._staging.read_mapped(0, 256)), np.uint8)
        self._staging.unmap()
        return found[: size + 16]


class DeviceBuffer:
    """An array that stays on a device between launches.

    ::

        x = DeviceBuffer.from_array(device, np.arange(1000, dtype=np.float32))
        program.run(Launch(1000, 32, buffers={"x": x}))
        x.download()
    """

    def __init__(self, device: Device, length: int, dtype: np.dtype[Any]) -> None:
        self.device, self.dtype, self._length = device, np.dtype(dtype), length
        self.raw = device.storage(length * self.dtype.itemsize)

    @classmethod
    def from_array(cls, device: Device, array: Array) -> DeviceBuffer:
        """A buffer with a copy of an array of one dimension."""
        found = cls(device, len(array), array.dtype)
        found.upload(array)
        return found

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._length * self.dtype.itemsize

    def upload(self, array: Array) -> None:
        """Replace the elements; `LaunchError` where type or length differ."""
        if array.dtype != self.dtype or len(array) != self._length:
            raise LaunchError(f"{len(array)} of {array.dtype} do not fit a buffer of {self._length} of {self.dtype}")
        self.device.write(self.raw, np.ascontiguousarray(array))

    def download(self, out: Array | None = None) -> Array:
        """The elements, in `out` where that is given."""
        found = self.device.read(self.raw, self.nbytes).view(self.dtype)
        if out is None:
            return found.copy()
        out[:] = found
        return out
