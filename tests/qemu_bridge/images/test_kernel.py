"""Kernel images: every compression of a bzImage, damaged ones, PVH notes, types, and the providers that find them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images_samples import COMPRESSIONS, make_bzimage, make_vmlinux

from qemu_bridge.images import kernel
from qemu_bridge.images.fetch import Unavailable
from qemu_bridge.images.kernel import extract_vmlinux, has_pvh_entry, has_types, is_bzimage, read_release
from qemu_bridge.images.providers import to_kernel


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_vmlinux_comes_out_of_each_compression(compression: str) -> None:
    vmlinux = make_vmlinux(size=300_000)
    bzimage = make_bzimage(vmlinux, compression)
    assert is_bzimage(bzimage) and not is_bzimage(vmlinux)
    assert extract_vmlinux(bzimage) == vmlinux


def test_legacy_lz4_of_several_blocks_comes_out_whole() -> None:
    vmlinux = make_vmlinux(size=(16 << 20) + 5)
    assert extract_vmlinux(make_bzimage(vmlinux, "lz4")) == vmlinux


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damaged_payload_is_an_error_and_nothing_else(compression: str) -> None:
    bzimage = bytearray(make_bzimage(make_vmlinux(size=20_000), compression))
    start = 3 * 512 + 0x80
    bzimage[start + 8 : start + 120] = bytes(112)
    with pytest.raises(ValueError, match=r"damaged|no ELF"):
        extract_vmlinux(bytes(bzimage))
    with pytest.raises(ValueError, match="ends before its payload"):
        extract_vmlinux(make_bzimage(make_vmlinux(), compression)[: start + 50])


def test_unknown_compression_and_foreign_files_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown way"):
        extract_vmlinux(make_bzimage(b"plain text, not packed at all", "none"))
    for image in (b"", b"MZ", bytes(4096), make_vmlinux()):
        with pytest.raises(ValueError, match="not a bzImage"):
            extract_vmlinux(image)
    with pytest.raises(ValueError, match="no ELF file"):
        extract_vmlinux(make_bzimage(b"text" * 100))


def test_content_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "VMLINUX_LIMIT", 100_000)
    for compression in COMPRESSIONS:
        with pytest.raises(ValueError, match=r"no ELF file of at most|damaged"):
            extract_vmlinux(make_bzimage(make_vmlinux(size=200_000), compression))


@given(st.binary(max_size=200), st.integers(0, 0x300))
def test_any_setup_header_ends_in_a_result_or_a_value_error(noise: bytes, place: int) -> None:
    image = bytearray(make_bzimage(make_vmlinux()))
    image[place : place + len(noise)] = noise
    try:
        extract_vmlinux(bytes(image))
    except ValueError:
        pass
    read_release(bytes(image))


@given(st.binary(max_size=300), st.integers(16, 200))
def test_any_elf_header_has_a_pvh_entry_or_not(noise: bytes, place: int) -> None:
    image = bytearray(make_vmlinux())
    image[place : place + len(noise)] = noise
    assert has_pvh_entry(bytes(image)) in (True, False)


def test_pvh_entry_is_the_note_of_xen_and_no_other() -> None:
    assert has_pvh_entry(make_vmlinux())
    assert not has_pvh_entry(make_vmlinux(pvh=False))
    assert not has_pvh_entry(b"\x7fELF\x02\x01")
    many = bytearray(make_vmlinux(pvh=False))
    struct.pack_into("<H", many, 56, 0xFFFF)
    assert not has_pvh_entry(bytes(many))


def test_types_and_release_are_read() -> None:
    assert has_types(make_vmlinux()) and not has_types(make_vmlinux(types=False))
    assert read_release(make_bzimage(b"", release="6.1.0-56-cloud-amd64")) == "6.1.0-56-cloud-amd64"
    assert read_release(make_vmlinux(release="6.12.1+deb13-cloud")) == "6.12.1+deb13-cloud"
    assert read_release(b"") == ""


def test_kernel_boots_as_vmlinux_with_pvh_and_as_bzimage_without() -> None:
    with_entry, without = make_bzimage(make_vmlinux()), make_bzimage(make_vmlinux(pvh=False))
    assert to_kernel(with_entry, "x").boot == make_vmlinux() and to_kernel(with_entry, "x").bzimage == with_entry
    assert to_kernel(without, "x").boot == without and to_kernel(without, "x").bzimage == without
    for image in (make_vmlinux(pvh=False), b"text", without[:1700]):
        with pytest.raises(Unavailable, match=r"^x"):
            to_kernel(image, "x")
