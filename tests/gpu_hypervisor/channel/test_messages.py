"""Messages: a submission as it was meant or a reason, errors with codes of their own, and the guest's header in agreement."""

import re
import struct

import numpy as np
import pytest

from gpu_hypervisor.channel.messages import (
    MOST_ARGUMENTS,
    Code,
    Command,
    Element,
    Language,
    Memory,
    Number,
    Refusal,
    Virtual,
    read_submit,
)
from gpu_hypervisor.channel.payload import PayloadError, Reader, Writer
from pixel_cpu.errors import SourceError, TrapError
from qemu_bridge.errors import AddressError, GlassBoxError, UsageError
from qemu_bridge.images.recipe import shipped_folder

HEADER = (shipped_folder() / "gpu-submit" / "glassbox_gpu.h").read_text()
SOURCE = (shipped_folder() / "gpu-submit" / "glassbox_gpu.c").read_text()


def submission(*arguments: bytes, count: int | None = None, kernel: str = "saxpy", job_class: int = 2) -> bytes:
    writer = Writer().u64(1).u64(2).u64(3).u8(0).u8(job_class).u16(len(arguments) if count is None else count)
    writer.u64(1000).u64(0).u32(64).u64(5).u64(6).u64(7).text(kernel).text("sh")
    return writer.content + b"".join(arguments)


def argument(kind: int, name: str) -> Writer:
    return Writer().u8(kind).text(name)


def test_a_submission_is_read_as_it_was_meant():
    found = read_submit(
        submission(
            argument(0, "a").text("-2.5").content,
            argument(1, "x").u8(8).u64(4).u64(5).u64(6).content,
            argument(2, "y").u8(5).u32(42).u64(0x7FFF0000).u64(9).content,
        )
    )
    assert found.text == Memory(1, 2, 3, Element.U8) and found.language is Language.GPK
    assert (found.lanes, found.blocks, found.threads, found.job_class) == (1000, 0, 64, 2)
    assert (found.deadline_us, found.limit_us, found.fuel, found.kernel, found.label) == (5, 6, 7, "saxpy", "sh")
    assert found.arguments == {
        "a": Number("-2.5"),
        "x": Memory(4, 5, 6, Element.F32),
        "y": Virtual(42, 0x7FFF0000, 9, Element.I32),
    }


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        submission()[:-1],
        submission() + b"x",
        submission(count=1),
        submission(count=MOST_ARGUMENTS + 1),
        submission(argument(3, "a").content),
        submission(argument(0, "").text("1").content),
        submission(argument(0, "a").text("1").content, argument(0, "a").text("2").content),
        submission(argument(1, "x").u8(10).u64(4).u64(5).u64(6).content),
        submission(kernel="k" * 65),
        submission(kernel="bell\a"),
    ],
)
def test_a_submission_that_cannot_be_is_refused_with_a_reason(payload):
    with pytest.raises(PayloadError):
        read_submit(payload)


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2), ("-3", -3), ("0xff", 255), ("2.5", 2.5), ("1e-3", 1e-3), ("inf", float("inf"))]
)
def test_numbers_are_read_as_people_write_them(text, value):
    assert Number(text).value == value


def test_what_is_no_number_is_told():
    with pytest.raises(PayloadError, match="'two' is no number"):
        _ = Number("two").value


def test_elements_are_those_of_numpy():
    for element in Element:
        dtype = np.dtype(element.dtype)
        assert dtype.itemsize * 8 == int(element.name[1:]) and dtype.kind == element.name[0].lower()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("no such word", line=9, column=13), Code.SOURCE),
        (TrapError("k", 3, "divided by zero", 4), Code.TRAP),
        (AddressError("nothing there"), Code.ADDRESS),
        (UsageError("a mistake"), Code.USAGE),
        (GlassBoxError("a fault"), Code.FAILED),
    ],
)
def test_an_error_has_the_code_of_its_class_or_the_nearest_above(error, code):
    reader = Reader(Refusal.of(error).encode())
    assert reader.u16() == code
    place = reader.u32(), reader.u32()
    assert place == ((9, 13) if code is Code.SOURCE else (4, 0) if code is Code.TRAP else (0, 0))
    assert reader.u64() == 0 and reader.text() in str(error)


def names_of(text: str, kind: str) -> list[str]:
    return re.findall(r"\w+", re.search(rf"enum {kind} \{{([^}}]*)\}}", text)[1])


def test_the_guests_header_has_the_same_codes_elements_and_languages():
    assert [f"GBG_{code.name}" for code in Code] == names_of(HEADER, "gbg_code")
    assert [f"GBG_{element.name}" for element in Element] == names_of(HEADER, "gbg_element")
    assert [f"GBG_{language.name}" for language in Language] == names_of(HEADER, "gbg_language")


def test_the_guests_library_has_the_same_commands():
    listed = re.search(r"enum \{ (SUBMIT_PRIMITIVE = 0x100[^}]*)\}", SOURCE)[1]
    assert re.findall(r"[A-Z_]{4,}", listed) == [command.name for command in Command]
    assert [int(command) for command in Command] == list(range(0x100, 0x108))


def test_what_the_library_writes_at_fixed_places_is_read_there():
    payload = bytearray(submission())
    struct.pack_into("<B", payload, 25, 4)
    struct.pack_into("<QQI", payload, 28, 11, 12, 13)
    struct.pack_into("<QQQ", payload, 48, 14, 15, 16)
    found = read_submit(bytes(payload))
    assert (found.job_class, found.lanes, found.blocks, found.threads) == (4, 11, 12, 13)
    assert (found.deadline_us, found.limit_us, found.fuel) == (14, 15, 16)


def test_the_document_has_every_command_code_and_type():
    text = (shipped_folder().parent / "docs" / "gpu-protocol.md").read_text()
    for command in Command:
        assert f"| {int(command):#x} {command.name} |" in text
    for code in list(Code)[1:]:
        assert f"| {int(code)} | {code.name} |" in text
    assert ", ".join(f"{int(element)} {element.name.lower()}" for element in Element) in text
