"""Small programs for the guest, compiled here and run there: static, without a C library, a few kilobytes each."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

HEADER = """
static long ask(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
"""

KINDS = (
    HEADER
    + """
enum { MMAP = 9, MPROTECT = 10, WRITE = 1, MADVISE = 28, SHMGET = 29, SHMAT = 30, PAUSE = 34, FORK = 57, EXIT = 60,
       FTRUNCATE = 77, SHMCTL = 31, MEMFD_CREATE = 319 };
enum { PAGE = 4096, MIB = 1 << 20, PRIVATE = 2, SHARED = 1, FIXED = 16, ANONYMOUS = 32, HUGETLB = 0x40000 };
#define PLACE(number) ((number) * 0x10000000000L)

static volatile long *map(long number, long size, long flags, long file) {
    long place = ask(MMAP, PLACE(number), size, 3, flags | FIXED, file, 0);
    if (place != PLACE(number)) ask(EXIT, number, 0, 0, 0, 0, 0);
    return (long *)place;
}
static void fill(volatile long *at, long size, long first, long step) {
    for (long page = 0; page < size / PAGE; page++) at[page * PAGE / 8] = first + page * step;
}
void _start(void) {
    volatile long *merged = map(1, 64 * PAGE, PRIVATE | ANONYMOUS, -1);
    fill(merged, 32 * PAGE, 0x1111, 0);
    fill(merged + 32 * PAGE / 8, 16 * PAGE, 0x2222, 0);
    fill(merged + 48 * PAGE / 8, 16 * PAGE, 0x3333, 1);
    volatile long *huge = map(2, 4 * MIB, PRIVATE | ANONYMOUS, -1);
    ask(MADVISE, (long)huge, 4 * MIB, 14 /* MADV_HUGEPAGE */, 0, 0, 0);
    fill(huge, 4 * MIB, 0x4444, 1);
    fill(map(3, 4 * MIB, PRIVATE | ANONYMOUS | HUGETLB, -1), 4 * MIB, 0x5555, 1);
    fill(map(4, 2 * MIB, SHARED | ANONYMOUS | HUGETLB, -1), 2 * MIB, 0x6666, 1);
    fill(map(5, 16 * PAGE, SHARED | ANONYMOUS, -1), 16 * PAGE, 0x7777, 1);
    long file = ask(MEMFD_CREATE, (long)"kinds", 0, 0, 0, 0, 0);
    ask(FTRUNCATE, file, 16 * PAGE, 0, 0, 0, 0);
    fill(map(6, 16 * PAGE, SHARED, file), 16 * PAGE, 0x8888, 1);
    long segment = ask(SHMGET, 0, 16 * PAGE, 01600, 0, 0, 0);
    fill((volatile long *)ask(SHMAT, segment, PLACE(7), 0, 0, 0, 0), 16 * PAGE, 0x9999, 1);
    ask(SHMCTL, segment, 0 /* IPC_RMID: gone with its last user */, 0, 0, 0, 0);
    volatile long *copied = map(8, 16 * PAGE, PRIVATE | ANONYMOUS, -1);
    fill(copied, 16 * PAGE, 0xaaaa, 1);
    volatile long *hidden = map(9, 16 * PAGE, PRIVATE | ANONYMOUS, -1);
    fill(hidden, 16 * PAGE, 0xbbbb, 1);
    ask(MPROTECT, (long)hidden, 16 * PAGE, 0, 0, 0, 0);
    volatile long *unwritten = map(10, 16 * PAGE, PRIVATE | ANONYMOUS, -1);
    long sum = 0;
    for (long page = 0; page < 16; page++) sum += unwritten[page * PAGE / 8];
    volatile long *huge_unwritten = map(11, 2 * MIB, PRIVATE | ANONYMOUS, -1);
    ask(MADVISE, (long)huge_unwritten, 2 * MIB, 14, 0, 0, 0);
    sum += huge_unwritten[0];
    long child = ask(FORK, 0, 0, 0, 0, 0, 0);
    if (!child) {
        fill(copied, 8 * PAGE, 0xcccc, 1);
        huge[PAGE / 8] = 0xdddd; /* this page is copied, and the huge page mapped piece by piece from now on */
        for (long number = 4; number < 8; number++)
            for (long page = 0; page < 8; page++) sum += *(volatile long *)(PLACE(number) + page * PAGE);
    }
    if (child) ask(MADVISE, (long)merged, 64 * PAGE, 12 /* MADV_MERGEABLE */, 0, 0, 0);
    ask(WRITE, 1, (long)"ready", 5, 0, 0, 0);
    for (;;) ask(PAUSE, 0, 0, 0, 0, 0, 0);
}
"""
)
"""A process and its child with memory of every kind, in area n at n * 2^40."""


SWAPPED = (
    HEADER
    + """
enum { MMAP = 9, WRITE = 1, MADVISE = 28, PAUSE = 34 };
void _start(void) {
    volatile long *pages = (volatile long *)ask(MMAP, 0x10000000000L, 64 * 4096, 3, 2 | 16 | 32, -1, 0);
    for (long page = 0; page < 64; page++) pages[page * 4096 / 8] = 0x5a5a0000 + page;
    ask(MADVISE, (long)pages, 48 * 4096, 21 /* MADV_PAGEOUT */, 0, 0, 0);
    ask(WRITE, 1, (long)"ready", 5, 0, 0, 0);
    for (;;) ask(PAUSE, 0, 0, 0, 0, 0, 0);
}
"""
)
"""A process with 64 pages at 1 << 40 that asks the kernel to swap out the first 48 of them."""


PAGE_FLAGS = (
    HEADER
    + """
enum { READ = 0, WRITE = 1, OPEN = 2, CLOSE = 3, NANOSLEEP = 35, GETPID = 39, EXIT = 60, READLINK = 89, PRCTL = 157 };
static unsigned char words[2][2][PAGES * 8];
static void look(int round) {
    const char *names[2] = { "/proc/kpageflags", "/proc/kpagecount" };
    for (int kind = 0; kind < 2; kind++) {
        long file = ask(OPEN, (long)names[kind], 0, 0, 0, 0, 0), at = 0, got;
        while (at < PAGES * 8L && (got = ask(READ, file, (long)words[round][kind] + at, PAGES * 8L - at, 0, 0, 0)) > 0) at += got;
        ask(CLOSE, file, 0, 0, 0, 0, 0);
    }
}
static int has_executable(long pid) {
    char path[32] = "/proc/", digits[20], target[8];
    int length = 6, count = 0;
    for (; pid; pid /= 10) digits[count++] = '0' + pid % 10;
    while (count) path[length++] = digits[--count];
    for (const char *rest = "/exe"; *rest; rest++) path[length++] = *rest;
    path[length] = 0;
    return ask(READLINK, (long)path, (long)target, sizeof target, 0, 0, 0) > 0;
}
static void wait_for_later_processes(void) {
    long own = ask(GETPID, 0, 0, 0, 0, 0, 0), pause[2] = { 0, 50000000 };
    for (int others = 1; others;) {
        others = 0;
        for (long pid = own + 1; pid < own + 256; pid++) others += has_executable(pid);
        ask(NANOSLEEP, (long)pause, 0, 0, 0, 0, 0); /* the last of them gives its memory back now */
    }
}
void _start(void) {
    for (long at = 0; at < (long)sizeof words; at += 4096) ((volatile unsigned char *)words)[at] = 1;
    char byte;
    ask(READ, 0, (long)&byte, 1, 0, 0, 0);
    wait_for_later_processes();
    look(0);
    ask(PRCTL, 15 /* PR_SET_NAME */, (long)"looked", 0, 0, 0, 0);
    ask(READ, 0, (long)&byte, 1, 0, 0, 0); /* meanwhile the guest is looked at from outside, with this process in it */
    look(1);
    ask(WRITE, 1, (long)words, sizeof words, 0, 0, 0);
    ask(EXIT, 0, 0, 0, 0, 0, 0);
}
"""
)
"""A process that waits for a byte and for the end of the processes that began after it, reads what the kernel says of each
of PAGES pages, calls itself "looked", waits for a second byte, and reads it again.

It is there in all three looks, so that its own memory does not look like a mistake.
"""


def compile_program(folder: Path, source: str, *options: str) -> bytes:
    """The ELF file of `source`; skips where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    (folder / "program.c").write_text(source)
    words = [
        "-static",
        "-nostdlib",
        "-Os",
        "-fno-stack-protector",
        "-fno-builtin",
        "-s",
        "-Wl,--build-id=none",
        *options,
    ]
    subprocess.run([compiler, *words, "-o", folder / "program", folder / "program.c"], check=True)
    return (folder / "program").read_bytes()


def install(machine, program: bytes, path: str) -> None:
    """Put an executable file into the guest."""
    machine.exec(f"echo {base64.b64encode(program).decode()} | base64 -d >{path}; chmod +x {path}")


def make_elf(code):
    """A static program of these instructions."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    size = 120 + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + code
