/*
 * A guest program whose loops are learned, in situations in which a kernel must not go on: test_learned.py runs it in a guest and on
 * this host, and compares what it prints. XOR, SUM, MOVE, VECTORS, COUNT, AWAIT, HOP, NEST and WRONG are the loops' bytes, HOP_TWIN those of a loop that
 * begins as HOP does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/io.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 64 * PAGE, BLOCK = 16, DIRECTION = 1 << 10 };
extern const char xor_head[], xor_end[];
static unsigned char from[BYTES], to[BYTES];
static volatile sig_atomic_t signals;
static unsigned char *closed;
static bool is_guest; /* where a program may change what the whole machine has */

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

static __attribute__((noinline)) uint64_t xor_vectors(const unsigned char *from_, uint32_t count)
{
    uint64_t found[2];
    __asm__ volatile("pxor %%xmm0, %%xmm0\n" VECTORS "movdqu %%xmm0, %2"
                     : "+S"(from_), "+c"(count), "=m"(found) : : "memory", "cc", "xmm0", "xmm1");
    return found[0] * 31 + found[1];
}

/* Counts in one place and reads another: what was stored when the read fails must not stay. */
static __attribute__((noinline)) uint64_t count_bytes(unsigned char *to_, const unsigned char *from_, uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile(COUNT : "+b"(sum), "+D"(to_), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
    return sum;
}

static __attribute__((noinline)) uint64_t await(const volatile sig_atomic_t *at)
{
    uint64_t rounds = 0, scratch;
    __asm__ volatile(AWAIT : "+b"(rounds), "=&a"(scratch) : "D"(at) : "memory", "cc");
    return rounds;
}

/* At the begin of a page, as where it was learned: a head inside of blocks is known only there. */
static __attribute__((noinline)) uint64_t hop(const unsigned char *from_, uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile("jmp 1f\n.balign 4096\n1: " HOP : "+b"(sum), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
    return sum;
}

/* As well. */
static __attribute__((noinline)) uint64_t nest(uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile("jmp 1f\n.balign 4096\n1: " NEST : "+b"(sum), "+c"(count), "=&d"(scratch) : : "cc");
    return sum;
}

static __attribute__((noinline)) uint64_t hop_otherwise(const unsigned char *from_, uint32_t count)
{
    uint64_t sum = 0, scratch;
    __asm__ volatile(HOP_TWIN : "+b"(sum), "+S"(from_), "+c"(count), "=&a"(scratch) : : "memory", "cc");
    return sum;
}

/* Blocks are moved one after the other by string instructions, in the direction that `begin` sets and `end` takes back. */
#define DEFINE_MOVE(name, begin, end) \
    static __attribute__((noinline)) void name(unsigned char *to_, const unsigned char *from_, uint64_t blocks, uint64_t call, \
                                               uint64_t first, uint64_t second) \
    { \
        register uint64_t left __asm__("r8") = blocks; \
        __asm__ volatile("lea -128(%%rsp), %%rsp\n" begin MOVE end "lea 128(%%rsp), %%rsp\n" \
                         : "+D"(to_), "+S"(from_), "+r"(left), "+a"(call) : "d"(first), "b"(second) \
                         : "rcx", "r9", "r10", "r11", "memory", "cc"); \
    }
#define CALL "mov %%rdi, %%r9\nmov %%rsi, %%r10\nmov %%rdx, %%rdi\nmov %%rbx, %%rsi\nsyscall\nmov %%r9, %%rdi\nmov %%r10, %%rsi\n"
DEFINE_MOVE(move_forward, "", "")
DEFINE_MOVE(move_backward, "std\n", "cld\n")
DEFINE_MOVE(move_backward_by_popf, "pushfq\norq $0x400, (%%rsp)\npopfq\n", "pushfq\nandq $~0x400, (%%rsp)\npopfq\n")
/* The handler of a signal to itself returns with another direction. */
DEFINE_MOVE(move_after_signal, CALL, "cld\n")
/* The kernel clears the flag where a page is missing, and sysretq brings it back. */
DEFINE_MOVE(move_backward_after_call, "std\n" CALL, "cld\n")

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

static void on_signal_turn(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] ^= DIRECTION;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    signals++;
    mprotect(closed, PAGE, PROT_READ | PROT_WRITE);
}

static void go_round(int times)
{
    for (int i = 0; i < times; i++) {
        xor_bytes(to, from, BYTES);
        print(sum_bytes(to, BYTES - i));
        print(subtract_bytes(to, BYTES - i));
        print(xor_vectors(to + i, BYTES / 16 - i));
        move_forward(to, from + i, BYTES / BLOCK - 2, 0, 0, 0);
        print(count_bytes(to, from + i, BYTES - i));
        print(hop(to, BYTES - i));
        print(nest(4 * PAGE));
    }
    print(digest(to, BYTES));
}

static void usual(void)
{
    go_round(20);
}

/* Where QEMU does all of it, slowly. */
static void once(void)
{
    go_round(1);
}

/* String instructions go forwards until the plugin runs them, then backwards. */
static void turn(void (*move)(unsigned char *, const unsigned char *, uint64_t, uint64_t, uint64_t, uint64_t), bool calls_kill)
{
    enum { TURNS = 4, OFTEN = 5 };
    struct sigaction action = {.sa_sigaction = on_signal_turn, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < TURNS * OFTEN; i++) {
        fill(from, BYTES, i);
        move_forward(to, from + i, BYTES / BLOCK - 2, 0, 0, 0);
        if (i % OFTEN == OFTEN - 1) {
            uint64_t place = (uint64_t)(uintptr_t)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            move(to + BYTES - 1, from + BYTES - 1, BYTES / BLOCK, calls_kill ? SYS_kill : SYS_uname,
                 calls_kill ? (uint64_t)getpid() : place, SIGUSR1);
            print(digest(to, BYTES));
        }
    }
}

static void turned_by_std(void)
{
    turn(move_backward, true);
}

static void turned_by_popf(void)
{
    turn(move_backward_by_popf, true);
}

static void turned_by_signal(void)
{
    turn(move_after_signal, true);
}

static void turned_by_call(void)
{
    turn(move_backward_after_call, false);
}

/* The processor comes back from what may have changed its mode. */
static void change_mode(void (*change)(void))
{
    for (unsigned i = 0; i < 20; i++) {
        fill(from, BYTES, i);
        for (unsigned turns = 0; turns < 5; turns++) {
            move_forward(to, from + turns, BYTES / BLOCK - 2, 0, 0, 0);
        }
        change();
        move_forward(to, from + i, BYTES / BLOCK - 2, 0, 0, 0);
        print(digest(to, BYTES));
    }
}

/* The firmware's handler returns by rsm. */
static void manage_system(void)
{
    enum { COMMAND_PORT = 0xb2, NOTHING = 0x55 };
    if (is_guest && iopl(3) == 0) {
        outb(NOTHING, COMMAND_PORT);
    }
}

static void managed(void)
{
    change_mode(manage_system);
}

/* Linux switches caches off by cr0 when it changes what is cached. */
static void switch_caches(void)
{
    static const char text[] = "base=0x200000000 size=0x1000000 type=uncachable";
    int file = is_guest ? open("/proc/mtrr", O_WRONLY) : -1;
    if (file >= 0 && write(file, text, strlen(text)) > 0) {
        for (char off[] = "disable=7"; off[8] >= '0' && write(file, off, strlen(off)) < 0; off[8]--) {
        }
    }
    close(file);
}

static void switched(void)
{
    change_mode(switch_caches);
}

/* The same bytes, which mean something else where code has 32 bits. */
static void compatible(void)
{
    enum { PAGES = 4, CODE_32 = 0x23, RETF = 0xcb };
    static struct __attribute__((packed)) {
        uint32_t at;
        uint16_t segment;
    } there = {0, CODE_32};
    size_t bytes = (size_t)(xor_end - xor_head);
    unsigned char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (at == MAP_FAILED) {
        exit(1);
    }
    memcpy(at, xor_head, bytes);
    at[bytes] = RETF;
    there.at = (uint32_t)(uintptr_t)at;
    fill(at + PAGE, 2 * PAGE, 4);
    for (int i = 0; i < 300; i++) {
        uint64_t to_ = (uintptr_t)at + PAGE, from_ = to_ + PAGE, count = PAGE - i, stack = (uintptr_t)at + PAGES * PAGE - 64, left = 0;
        __asm__ volatile("mov %%ss, %%r13d\nmov %%r13d, %%ds\nmov %%r13d, %%es\nmov %%rsp, %%r12\nmov %[stack], %%rsp\n"
                         "lcall *%[there]\n"
                         "mov %%r12, %%rsp\n"
                         : "+D"(to_), "+S"(from_), "+c"(count), "+a"(left) : [stack] "r"(stack), [there] "m"(there) : "r12", "r13", "memory", "cc");
        print(to_ - from_ + (uint32_t)left);
    }
    print(digest(at + PAGE, 2 * PAGE));
}

/* Accesses have to be aligned, which single bytes always are. */
static void aligned(void)
{
    for (int i = 0; i < 20; i++) {
        __asm__ volatile("lea -128(%%rsp), %%rsp\npushfq\norq $0x40000, (%%rsp)\npopfq\nlea 128(%%rsp), %%rsp" : : : "cc", "memory");
        xor_bytes(to, from, BYTES);
        __asm__ volatile("lea -128(%%rsp), %%rsp\npushfq\nandq $~0x40000, (%%rsp)\npopfq\nlea 128(%%rsp), %%rsp" : : : "cc", "memory");
        print(digest(to, BYTES));
    }
}

/* Pages with a key of their own, where there are keys. */
static void locked(void)
{
    unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int key = pkey_alloc(0, 0);
    fill(at, BYTES, 6);
    if (key > 0) {
        pkey_mprotect(at + 8 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE, key);
    }
    for (int i = 0; i < 20; i++) {
        xor_bytes(at, from, BYTES);
        print(digest(at, BYTES));
    }
}

/* What is no RAM, where it can be had: the firmware's code. Each byte is read in another way as well. */
static void devices(void)
{
    enum { FIRMWARE = 0xf0000, FIRMWARE_BYTES = 16 * PAGE };
    int file = is_guest ? open("/dev/mem", O_RDONLY) : -1;
    const unsigned char *at = file < 0 ? from : mmap(NULL, FIRMWARE_BYTES, PROT_READ, MAP_SHARED, file, FIRMWARE);
    for (int i = 0; i < 20 && at != MAP_FAILED; i++) {
        uint64_t sum = 0;
        for (int place = 0; place < FIRMWARE_BYTES - i; place++) {
            sum = sum * 5 + ((const volatile unsigned char *)at)[place];
        }
        print(sum_bytes(at, FIRMWARE_BYTES - i) == sum);
    }
}

/* A loop that begins as a learned one does. */
static void twin(void)
{
    for (int i = 0; i < 20; i++) {
        print(hop(from, BYTES - i));
        print(hop_otherwise(from, BYTES - i));
    }
}

/* In the middle of a round a page turns out to be missing, after something was stored. */
static void half_done(void)
{
    for (int i = 0; i < 8; i++) {
        unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(to, 0, BYTES);
        print(count_bytes(to, at, BYTES));
        print(digest(to, BYTES));
        munmap(at, BYTES);
    }
}

/* Goes round until a signal says that it is enough. */
static void waiting(void)
{
    signal(SIGALRM, on_signal);
    for (int i = 0; i < 30; i++) {
        struct itimerval once = {{0, 0}, {0, i ? 3000 : 200000}}; /* the first takes long enough for all comparisons */
        signals = 0;
        setitimer(ITIMER_REAL, &once, NULL);
        print(await(&signals) > 0);
    }
}

/* A signal comes again and again into the loop; who handles it changes what the loop reads, and goes round it as well. */
static void on_signal_change(int number)
{
    enum { FEW = 1000 };
    (void)number;
    signals++;
    for (size_t i = 0; i < BYTES; i++) {
        from[i] = (unsigned char)(from[i] * 5 + 1);
    }
    sum_bytes(to, FEW);
}

static void changed(void)
{
    enum { OFTEN = 100 };
    struct itimerval often = {{0, 2000}, {0, 2000}};
    signal(SIGALRM, on_signal_change);
    setitimer(ITIMER_REAL, &often, NULL);
    while (signals < OFTEN) {
        sum_bytes(from, BYTES);
    }
    print(signals >= OFTEN);
}

/* Two threads change the same bytes, in an order that does not matter. */
static void *xor_often(void *unused)
{
    for (int i = 0; i < 21; i++) {
        xor_bytes(to, from, BYTES);
    }
    return unused;
}

static void shared(void)
{
    pthread_t other;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one); /* on two processors stores would be lost, here as well */
    sched_setaffinity(0, sizeof one, &one);
    pthread_create(&other, NULL, xor_often, NULL);
    xor_often(NULL);
    xor_bytes(to, from, BYTES);
    pthread_join(other, NULL);
    print(digest(to, BYTES));
}

/* Pages that are swapped out, or taken from the page table, and come back with what they held; and one that does not come back until a signal says so. */
static void reclaimed(void)
{
    int file = memfd_create("pages", 0);
    if (ftruncate(file, BYTES)) {
        exit(1);
    }
    unsigned char *mapped = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    unsigned char *own = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    fill(mapped, BYTES, 7);
    fill(own, BYTES, 8);
    for (int i = 0; i < 8; i++) {
        unsigned char *at = i % 2 ? own : mapped;
        int advice = i % 2 ? MADV_PAGEOUT : MADV_DONTNEED;
        xor_bytes(at, from, BYTES);
        madvise(at + 8 * PAGE, 40 * PAGE, advice);
        closed = at + (30 + i) * PAGE;
        mprotect(closed, PAGE, PROT_NONE);
        print(sum_bytes(at, BYTES));
        madvise(at + 8 * PAGE, 40 * PAGE, advice);
        xor_bytes(at, from + i, BYTES - i);
        print(digest(at, BYTES));
    }
    print((uint64_t)signals);
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
    } all[] = {
        {"usual", usual},     {"fresh", fresh},           {"overlap", overlap},      {"code", code},
        {"forked", forked},   {"read-only", read_only},   {"stepped", stepped},      {"interrupted", interrupted},
        {"shared", shared},   {"reclaimed", reclaimed},   {"std", turned_by_std},    {"popf", turned_by_popf},
        {"turning-signal", turned_by_signal},         {"system-call", turned_by_call},
        {"system-management", managed},               {"caches", switched},   {"compatible", compatible}, {"aligned", aligned},
        {"keys", locked},     {"devices", devices},   {"twin", twin},         {"half-done", half_done},   {"waiting", waiting},
        {"changed", changed}, {"once", once},
    };
    is_guest = count && strcmp(words[0], "/probe") == 0;
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
