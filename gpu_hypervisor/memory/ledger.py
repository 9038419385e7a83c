"""What a tenant holds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import QuotaError


@dataclass
class TenantLedger:
    """Bytes of a tenant's buffers and of its jobs' copies, on the device or not; exact to the byte."""

    limit_bytes: int
    bytes: int = 0
    peak_bytes: int = 0

    @property
    def left_bytes(self) -> int:
        """What may still be taken."""
        return self.limit_bytes - self.bytes

    def take(self, size: int) -> None:
        """Count so many bytes; `QuotaError` where they are more than are left."""
        if size > self.left_bytes:
            raise QuotaError(
                f"{size} bytes are wanted, and {self.left_bytes} of {self.limit_bytes} are left; free buffers, or ask for a larger quota",
                size,
                self.left_bytes,
            )
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def give_back(self, size: int) -> None:
        """So many bytes are free again."""
        assert 0 <= size <= self.bytes
        self.bytes -= size
