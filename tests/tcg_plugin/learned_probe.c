/*
 * A guest program whose loops are learned, in situations in which a kernel must not go on: test_learned.py runs it in a guest and on
 * this host, and compares what it prints. XOR, SUM and WRONG are the loops' bytes.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 64 * PAGE };
extern const char xor_head[], xor_end[];
static unsigned char from[BYTES], to[BYTES];
static volatile sig_atomic_t signals;
static unsigned char *closed;

/* Each byte of `to` with one of `from`. */
static __attribute__((noinline)) void xor_bytes(unsigned char *to_, const unsigned char *from_, uint32_t count)
{
    uint64_t scratch;
    __asm__ volatile("xor_head: " XOR "xor_end:" : "+D"(to_), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
}

static __attribute__((noinline)) uint64_t sum_bytes(const unsigned char *from_, uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile(SUM : "+b"(sum), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
    return sum;
}

static __attribute__((noinline)) uint64_t subtract_bytes(const unsigned char *from_, uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile(WRONG : "+b"(sum), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
    return sum;
}

static void fill(unsigned char *at, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525 + 1013904223;
        at[i] = (unsigned char)(seed >> 24);
    }
}

static uint64_t digest(const unsigned char *at, size_t bytes)
{
    uint64_t found = 1;
    for (size_t i = 0; i < bytes; i++) {
        found = (found ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return found;
}

static void print(uint64_t number)
{
    printf("%016llx\n", (unsigned long long)number);
}

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    signals++;
    mprotect(closed, PAGE, PROT_READ | PROT_WRITE);
}

static void usual(void)
{
    for (int i = 0; i < 20; i++) {
        xor_bytes(to, from, BYTES);
        print(sum_bytes(to, BYTES - i));
        print(subtract_bytes(to, BYTES - i));
    }
}

/* Pages that nobody has touched. */
static void fresh(void)
{
    for (int i = 0; i < 4; i++) {
        unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        print(sum_bytes(at, BYTES));
        xor_bytes(at, from, BYTES);
        print(digest(at, BYTES));
        munmap(at, BYTES);
    }
}

/* Each byte depends on the one before; and the same by another address of the same pages. */
static void overlap(void)
{
    xor_bytes(from + 1, from, BYTES - 1);
    print(digest(from, BYTES));
    int file = memfd_create("pages", 0);
    if (ftruncate(file, BYTES)) {
        exit(1);
    }
    unsigned char *one = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    unsigned char *other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    fill(one, BYTES, 3);
    xor_bytes(other + 1, one, BYTES - 1);
    print(digest(one, BYTES));
}

/* A function that the loop changes, after it was called. */
static void code(void)
{
    unsigned char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t (*function)(void) = (uint32_t (*)(void))(uintptr_t)at;
    memcpy(at, "\xb8\0\0\0\0\xc3", 6); /* mov eax, 0; ret */
    memset(from, 0, PAGE);
    uint64_t sum = 0;
    for (uint32_t i = 1; i < 200; i++) {
        sum = sum * 31 + function();
        memcpy(from + 1, &i, sizeof i);
        xor_bytes(at, from, PAGE);
    }
    print(sum);
}

/* A page in the middle that may not be written to. */
static void read_only(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++) {
        fill(at, BYTES, 5);
        closed = at + (20 + i) * PAGE;
        mprotect(closed, PAGE, PROT_READ);
        xor_bytes(at, from, BYTES);
        print(digest(at, BYTES));
    }
    print((uint64_t)signals);
}

static void interrupted(void)
{
    struct itimerval often = {{0, 2000}, {0, 2000}};
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t sum = 0;
    while (signals < 50) {
        xor_bytes(to, from, BYTES);
        xor_bytes(to, from, BYTES);
        sum = sum_bytes(to, BYTES);
    }
    print(sum);
}

/* Pages that two processes share until one stores to them. */
static void forked(void)
{
    for (int i = 0; i < 4; i++) {
        xor_bytes(to, from, BYTES / 2);
        pid_t child = fork();
        if (child == 0) {
            xor_bytes(to, from, BYTES);
            _exit((int)(digest(to, BYTES) & 127));
        }
        xor_bytes(to + BYTES / 2, from, BYTES / 4);
        int status;
        waitpid(child, &status, 0);
        print((uint64_t)WEXITSTATUS(status));
        print(digest(to, BYTES));
    }
}

/* Every instruction of the loop is seen by who steps through it. */
static void stepped(void)
{
    enum { ROUNDS = 1000 };
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        xor_bytes(to, from, ROUNDS);
        _exit(0);
    }
    uint64_t steps = 0;
    int status;
    struct user_regs_struct registers;
    for (waitpid(child, &status, 0); WIFSTOPPED(status); waitpid(child, &status, 0)) {
        ptrace(PTRACE_GETREGS, child, NULL, &registers);
        steps += registers.rip >= (uintptr_t)xor_head && registers.rip < (uintptr_t)xor_end;
        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
    }
    print(steps);
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {{"usual", usual},         {"fresh", fresh},   {"overlap", overlap},   {"code", code},
               {"read-only", read_only}, {"forked", forked}, {"interrupted", interrupted}, {"stepped", stepped}};
    fill(from, BYTES, 1);
    fill(to, BYTES, 2);
    for (size_t i = 0; count == 2 && i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, words[1]) == 0) {
            all[i].run();
            return 0;
        }
    }
    return 2;
}
