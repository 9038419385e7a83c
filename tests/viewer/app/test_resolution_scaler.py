"""How large pictures are drawn while something moves."""

from __future__ import annotations

from viewer.app.resolution_scaler import TARGET_FRAME_S, ResolutionScaler


def test_slow_frames_are_drawn_smaller_and_quick_ones_larger():
    scaler = ResolutionScaler()
    start = scaler.reduction
    for _ in range(6):
        scaler.add(3 * TARGET_FRAME_S)
    assert scaler.reduction == start + 1
    for _ in range(12):
        scaler.add(0.2 * TARGET_FRAME_S)
    assert scaler.reduction == start - 1
    assert scaler.size(640, 360) == (640, 360)
    assert ResolutionScaler().size(20, 20) == (16, 16)
