"""The viewer's benchmark: what is measured on a GPU runs, and a software driver is named and not held to it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench import __main__, gpu
from bench.guests import MadeUpGuest
from bench.viewer import Stage
from gpu_device.device import adapter_name, request_adapter


@pytest.mark.long
def test_what_a_gpu_must_hold_is_measured_frame_by_frame(device, monkeypatch):
    monkeypatch.setattr(gpu, "PICTURE", (160, 90))
    figures = {
        figure.name: figure for figure in gpu.measure_gpu(Stage(device, MadeUpGuest(16 << 20)), request_adapter(), 5)
    }
    rate, p99 = figures["frames per second on a GPU"], figures["99th percentile of frame times on a GPU"]
    assert (rate.target, p99.target) == (">= 120", "<= 16")
    assert "40 pages dirty a frame" in rate.detail
    assert adapter_name(request_adapter()) in rate.detail
    assert 0 < 1 / rate.value <= p99.value
    assert figures["rays per second"].value > 0
    assert 0 < figures["upload of dirty pages"].value < 10 * figures["one write of as many bytes, the copy limit"].value


def test_a_software_driver_is_skipped_with_a_sentence(is_software):
    figure = gpu.skipped(request_adapter())
    assert figure.holds is None
    assert adapter_name(request_adapter()) in figure.detail
    assert gpu.is_software(request_adapter()) is is_software


def test_only_touched_pages_are_dirty(device):
    guest = MadeUpGuest(16 << 20)
    dirty = Stage(device, guest).choose_dirty(400)
    assert len(dirty) == 400
    assert guest.ram.resident_pages()[dirty].all()
    assert (np.diff(dirty) > 0).all()


def test_a_capture_goes_with_the_viewer_alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "ram", "--capture", "somewhere"])
    with pytest.raises(SystemExit):
        __main__.main()
    assert "viewer alone" in capsys.readouterr().err
