"""Loops as native code: whole rounds, all or nothing, on memory with pages missing; the reference executor says what is right."""

from __future__ import annotations

import ctypes
import random
from dataclasses import dataclass, field

import pytest
from x86_loops import CRC32, HEAD, SUM_OF_SQUARES, machine_loop, run

from pixel_cpu.backends.lane_c.compiler import load
from pixel_cpu.errors import LiftError
from pixel_cpu.learn.native import REGISTERS, native_of, source

PAGE = 4096
BASE = 0x7F0000001000
PAGES = 6
LEFT, CROSSES, NO_PAGE, LONG_ROUND, FAULT = 0, 1, 2, 5, 6
MOST_STORES = 64

XOR = machine_loop("8a06", "3007", "48ffc6", "48ffc7", "ffc9", "75f2")
"""xor [rdi], byte of [rsi]; both on; dec ecx; jnz head."""
MOVE_WORDS = machine_loop("488b06", "488907", "4883c605", "4883c703", "48ffc9", "75ed")
"""Eight bytes from rsi to rdi at odd distances, so that accesses overlap and reach over ends of pages."""
STORE_THEN_LEAVE = machine_loop("4889044f", "4803044e", "48ffc1", "a801", "75f1")
"""Stores first; what it then loads decides whether this was the last round."""
DIVIDE = machine_loop("31d2", "f77704", "890417", "4883c704", "ffc9", "75f0")
"""div dword [rdi + 4]; a store; on."""
NESTED = machine_loop("89d1", "880c0f", "ffc9", "75f9", "48ffc7", "48ffce", "75ef")
"""A loop inside of edx rounds, each of which stores."""
STACK = machine_loop("50", "e804000000", "ffc9", "75f6", "48ffc0", "c3", indirect={HEAD + 13: (HEAD + 6,)})
"""push rax; call what is behind the loop; dec ecx; jnz head: the stack grows by each round."""
COPY = machine_loop("89d1", "f3a4", "48ffce", "48ffc7", "41ffc8", "75f1")
"""mov ecx, edx; rep movsb; rsi back by one, rdi on by one: copies that overlap their source or not."""
FILL = machine_loop("89d1", "f3ab", "4829f7", "41ffc8", "75f4")
"""mov ecx, edx; rep stosd; back by rsi bytes: what is filled overlaps."""
TWO_PLACES = machine_loop("8a0439", "2a843900100000", "88443908", "ffc9", "75ee")
"""Loads a page apart, and a store: al = [rcx + rdi] - [rcx + rdi + 4096]; [rcx + rdi + 8] = al."""
LOOPS = {
    "crc32": (CRC32, "rsi rcx", ""),
    "sum of squares": (SUM_OF_SQUARES, "", "rdi"),
    "xor": (XOR, "rsi rdi", "rcx"),
    "move words": (MOVE_WORDS, "rsi rdi", "rcx"),
    "store, then leave": (STORE_THEN_LEAVE, "rsi rdi", "rcx"),
    "divide": (DIVIDE, "rdi", "rcx"),
    "nested": (NESTED, "rdi", "rsi rdx"),
    "stack": (STACK, "rsp", ""),
    "copy": (COPY, "rsi rdi", "rdx r8"),
    "fill": (FILL, "rdi", "rsi rdx r8"),
    "two places": (TWO_PLACES, "rdi", "rcx"),
}
"""Each with the registers that hold addresses, and those that count."""


class Store(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("at", "old")]

    @property
    def place(self) -> tuple[int, int]:
        """Host address and number of bytes."""
        return self.at & (1 << 56) - 1, self.at >> 56


class Page(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint64), ("host", ctypes.c_uint64)]


class Pages(ctypes.Structure):
    pass


FIND = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(Pages), ctypes.c_uint64, ctypes.c_uint32)
Pages._fields_ = [
    ("find", FIND),
    ("log", ctypes.POINTER(Store)),
    ("stores", ctypes.c_uint32),
    ("most_stores", ctypes.c_uint32),
    ("keeps", ctypes.c_uint32),
    ("reason", ctypes.c_uint32),
    ("fuel", ctypes.c_int64),
    ("found", Page * 256),
]
RUN = ctypes.CFUNCTYPE(
    ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(Pages), ctypes.c_uint64, ctypes.c_uint64
)


class Learned(ctypes.Structure):
    """Mirrors gb_learned."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("version", "forward", "proved", "unused")),
        *((name, ctypes.c_uint64) for name in ("reads", "writes")),
        ("name", ctypes.c_char * 64),
        ("head", ctypes.c_uint64),
        ("codes", ctypes.c_uint64),
        ("code", ctypes.c_void_p),
        ("run", RUN),
    ]


@dataclass
class Native:
    """A kernel on memory of its own, at `BASE`, of which some pages are missing or may not be written to."""

    loop: object
    memory: ctypes.Array = field(default_factory=lambda: (ctypes.c_uint8 * (PAGE * PAGES))())
    missing: frozenset[int] = frozenset()
    refused: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.native = native_of("a loop", self.loop)
        self.kernel = load(source(self.native))
        self.learned = Learned.in_dll(self.kernel, "gb_learned_loop")
        assert self.learned.name == b"a loop", "the mirror above is not that of the header"

    def find(self, pages: object, address: int, is_store: int) -> int:
        page = (address - BASE) // PAGE
        if not 0 <= page < PAGES or page in self.missing:
            self.refused.append(page)
            pages.contents.reason = NO_PAGE
            return 0
        return ctypes.addressof(self.memory) + page * PAGE

    def run(self, state: dict[str, int], most: int, keeps: bool = False, fuel: int = 1 << 20):
        """Rounds, registers, why it stopped, the log."""
        registers = (ctypes.c_uint64 * len(REGISTERS))(*(state.get(name, 0) for name in REGISTERS))
        log = (Store * MOST_STORES)()
        self.refused.clear()
        self.callback = FIND(self.find)
        pages = Pages(self.callback, log, 0, MOST_STORES, keeps, 99, fuel, (Page * 256)(*[(1, 0)] * 256))
        rounds = self.learned.run(registers, ctypes.byref(pages), self.loop.head, most)
        return rounds, dict(zip(REGISTERS, registers, strict=True)), pages.reason, log[: pages.stores]


@pytest.fixture(scope="module", params=LOOPS)
def native(request):
    found = Native(LOOPS[request.param][0])
    found.name = request.param
    return found


def random_state(name: str, chance: random.Random) -> dict[str, int]:
    """Registers for a loop of `LOOPS`; addresses are of the memory mostly, and near ends of pages often."""
    state = {name: chance.getrandbits(chance.choice((8, 64))) for name in REGISTERS}
    _, places, counts = LOOPS[name]
    for each in places.split():
        near = PAGE * chance.randrange(PAGES + 1) - chance.randrange(40)
        state[each] = BASE + chance.choice((chance.randrange(PAGE * PAGES), near))
    state |= {each: chance.randrange(1, 60) for each in counts.split()}
    return state | ({"rdx": state["rsi"] + chance.randrange(60)} if name == "crc32" else {})


def test_rounds_in_place_are_rounds_of_the_reference(native):
    chance = random.Random(7)
    reasons, most_rounds = set(), 0
    for _ in range(25):
        native.missing = frozenset(page for page in range(PAGES) if chance.random() < 0.2)
        before = chance.randbytes(PAGE * PAGES) if chance.random() < 0.7 else bytes(PAGE * PAGES)
        native.memory[:] = before
        state, most = random_state(native.name, chance), chance.choice((1, 3, 20, 70))
        rounds, registers, reason, _ = native.run(state, most)
        (row,), memory, outcome = run(native.native.lifted, [state], before, limit=rounds, base=BASE)
        assert outcome.trap is None and (row["rounds"], row["next"]) == (rounds, native.loop.head)
        assert {name: registers[name] for name in native.native.writes} == {
            name: row[name] for name in native.native.writes
        }
        assert bytes(native.memory) == memory
        rest = set(REGISTERS) - {*native.native.writes}
        assert all(registers[name] == state[name] for name in rest), "what it does not write stays"
        most_rounds = max(most_rounds, rounds)
        if rounds == most:
            continue
        reasons.add(reason)
        (row,), _, outcome = run(native.native.lifted, [state], before, limit=rounds + 1, base=BASE)
        is_left = outcome.trap is None and row["rounds"] == rounds
        assert (
            (reason == LEFT and is_left)
            or (reason == FAULT and not is_left)
            or reason in (NO_PAGE, CROSSES, LONG_ROUND)
        )
        assert (reason == NO_PAGE) == bool(native.refused), "a page is the reason where one was refused"
    assert reasons and most_rounds > 2


def test_stores_that_are_kept_can_be_taken_back(native):
    chance = random.Random(8)
    native.missing = frozenset()
    for _ in range(8):
        before = chance.randbytes(PAGE * PAGES)
        native.memory[:] = before
        state = random_state(native.name, chance)
        rounds, _, _, log = native.run(state, 30, keeps=True)
        _, memory, _ = run(native.native.lifted, [state], before, limit=rounds, base=BASE)
        assert bytes(native.memory) == memory
        for store in reversed(log):
            at, length = store.place
            assert 0 <= at - ctypes.addressof(native.memory) <= PAGE * PAGES - length
            ctypes.memmove(at, store.old.to_bytes(8, "little"), length)
        assert bytes(native.memory) == before


def test_a_round_that_leaves_the_loop_stores_nothing():
    native = Native(STORE_THEN_LEAVE)
    native.memory[:] = bytes([2]) * (PAGE * PAGES)
    state = {"rdi": BASE, "rsi": BASE + PAGE, "rcx": 0, "rax": 0xAA}
    assert native.run(state, 9)[::2][:2] == (0, LEFT)
    assert bytes(native.memory) == bytes([2]) * (PAGE * PAGES)


def test_a_loop_inside_that_goes_on_for_ever_is_left_to_the_guest():
    native = Native(NESTED)
    state = {"rdi": BASE, "rsi": 5, "rdx": MOST_STORES}
    assert native.run(state, 9)[0] == 4, "the last round leaves"
    assert native.run(state | {"rdx": MOST_STORES + 1}, 9)[::2][:2] == (0, LONG_ROUND)
    assert native.run(state, 9, fuel=100)[::2][:2] == (1, LONG_ROUND)


def test_an_exception_is_left_to_the_guest():
    native = Native(DIVIDE)
    native.memory[:] = bytes([1]) * (PAGE * PAGES)
    native.memory[8:12] = bytes(4)
    assert native.run({"rdi": BASE, "rcx": 9}, 9)[::2][:2] == (1, FAULT)


@pytest.mark.parametrize(
    ("codes", "register"),
    [
        (("f3a4", "fd", "ffc8", "75f9"), "df"),
        (("11d8", "8d49ff", "e302", "ebf7"), "cf"),
        (("c5fdefc1", "ffc8", "75f8"), "xmm"),
    ],
)
def test_a_loop_whose_rounds_depend_on_what_plugins_do_not_get_is_refused(codes, register):
    with pytest.raises(LiftError, match=rf"depend on the .* {register}"):
        native_of("a loop", machine_loop(*codes))


@pytest.mark.parametrize("loop", [COPY, FILL])
def test_string_instructions_need_a_direction_flag_of_zero(loop):
    assert native_of("a loop", loop).is_forward and not native_of("a loop", XOR).is_forward


@pytest.mark.parametrize("distance", [1, 7, 8, 60, -1, -60, PAGE])
def test_a_copy_reads_what_it_wrote_where_it_overlaps(distance):
    """As ``rep movsb`` does, eight bytes at a time or not, and over the end of a page."""
    native = Native(COPY)
    before = random.Random(distance).randbytes(PAGE * PAGES)
    for start in (PAGE + 100, 2 * PAGE - 30):
        native.memory[:] = before
        state = {"rsi": BASE + start, "rdi": BASE + start + distance, "rdx": 60, "r8": 9}
        assert native.run(state, 1)[0] == 1
        wanted = bytearray(before)
        for place in range(start, start + 60):
            wanted[place + distance] = wanted[place]
        assert bytes(native.memory) == bytes(wanted)


def test_vector_registers_go_in_and_out_of_a_loop():
    """movdqu xmm1, [rsi]; pxor xmm0, xmm1; on; dec ecx; jnz head."""
    loop = machine_loop("f30f6f0e", "660fefc1", "4883c610", "ffc9", "75f0")
    native = Native(loop)
    native.memory[:] = random.Random(3).randbytes(PAGE * PAGES)
    assert {"xmm0_0", "xmm0_1"} <= {*native.native.reads} <= {*native.native.writes}
    rounds, registers, _, _ = native.run({"rsi": BASE, "rcx": 20, "xmm0_1": 5}, 6)
    wanted = 0
    for place in range(0, 6 * 16, 16):
        wanted ^= int.from_bytes(bytes(native.memory[place + 8 : place + 16]), "little")
    assert rounds == 6 and registers["xmm0_1"] == wanted ^ 5


def test_flags_that_the_next_round_sets_anyway_do_not_matter():
    assert set(native_of("a loop", XOR).writes) == {"rax", "rcx", "rsi", "rdi"}
