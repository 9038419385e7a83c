"""Dynamic resolution: how large pictures are drawn while something moves, so that the frame rate holds."""

from __future__ import annotations

TARGET_FRAME_S = 0.030
MAX_REDUCTION = 8


class ResolutionScaler:
    """How much smaller than the window pictures are drawn while something moves.

    Six frames over the target time make them smaller, six quick ones larger again.

    Attributes:
        reduction: window pixels to a drawn one, along each axis.
    """

    def __init__(self) -> None:
        self.reduction = 2
        self._times: list[float] = []

    def add(self, frame_s: float) -> None:
        """Take note of one frame's time in seconds."""
        self._times = [*self._times[-5:], frame_s]
        if len(self._times) < 6:
            return
        mean = sum(self._times) / len(self._times)
        if mean > 1.1 * TARGET_FRAME_S and self.reduction < MAX_REDUCTION:
            self.reduction, self._times = self.reduction + 1, []
        elif mean < 0.5 * TARGET_FRAME_S and self.reduction > 1:
            self.reduction, self._times = self.reduction - 1, []

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size to draw at for a window of this size."""
        return max(width // self.reduction, 16), max(height // self.reduction, 16)
