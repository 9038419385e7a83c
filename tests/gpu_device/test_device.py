"""Choosing an adapter."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import ClassVar

import pytest

from gpu_device.device import BINDING_BYTES, adapter_name, request_adapter, request_device
from qemu_bridge.errors import GraphicsError


def test_the_device_grants_what_the_viewer_relies_on(device):
    assert int(device.limits["max-storage-buffer-binding-size"]) >= BINDING_BYTES
    assert int(device.limits["max-storage-buffers-per-shader-stage"]) >= 8


def test_an_adapter_is_chosen_by_a_part_of_its_name(monkeypatch):
    name = adapter_name(request_adapter())
    monkeypatch.setenv("GLASSBOX_ADAPTER", name[2:7].upper())
    assert adapter_name(request_adapter()) == name
    monkeypatch.setenv("GLASSBOX_ADAPTER", "no such card")
    with pytest.raises(GraphicsError, match="GLASSBOX_ADAPTER"):
        request_adapter()


def test_an_adapter_that_is_too_small_is_named():
    class Small:
        info: ClassVar = {"device": "toy", "vendor": "", "backend_type": "Vulkan"}
        limits: ClassVar = {"max-storage-buffer-binding-size": 1 << 20}

    with pytest.raises(GraphicsError, match="toy"):
        request_device(Small())


def test_without_a_driver_one_sentence_says_what_to_install():
    code = "from gpu_device.device import request_adapter\nfrom qemu_bridge.errors import GlassBoxError\ntry:\n    request_adapter()\nexcept GlassBoxError as error:\n    print(error)"
    environment = {**os.environ, "VK_DRIVER_FILES": "/nonexistent.json", "VK_ICD_FILENAMES": "/nonexistent.json"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "mesa-vulkan-drivers" in done.stdout
    assert len(done.stdout.splitlines()) == 1
