/* Walks through memory in ways that caches tell apart, without a library: `cachegrind.py` runs it under Valgrind. */
enum { SIZE = 1 << 16 };

unsigned char memory[SIZE + 64] __attribute__((aligned(4096)));
unsigned long stack[1 << 10] __attribute__((aligned(4096)));

/* The stack that a process begins with lies elsewhere each time. */
__asm__(".globl _start\n"
        "_start: lea stack+8192(%rip), %rsp\n"
        "call work\n"
        "mov $60, %eax\n"
        "xor %edi, %edi\n"
        "syscall\n");

/* Code that fills lines of its own, and is run in an order that is not its own. */
#define PIECE(n) \
    static __attribute__((noinline, aligned(256))) unsigned piece##n(unsigned x) \
    { \
        __asm__ volatile(".fill 120, 1, 0x90"); \
        return x * (2 * n + 1) + n; \
    }
PIECE(0) PIECE(1) PIECE(2) PIECE(3) PIECE(4) PIECE(5) PIECE(6) PIECE(7)

static unsigned (*const pieces[])(unsigned) = {piece0, piece1, piece2, piece3, piece4, piece5, piece6, piece7};

static unsigned long load(unsigned place)
{
    return *(volatile unsigned long *)(memory + place);
}

__attribute__((used)) void work(void)
{
    unsigned random = 1;
    for (unsigned i = 0; i < 3000; i += 8) {
        load(i);
    }
    for (unsigned stride = 64; stride <= 8192; stride *= 2) {
        for (unsigned i = 0; i < 8 * SIZE; i += stride * 37) {
            load(i / stride * stride % SIZE);
        }
    }
    for (unsigned i = 0; i < 2500; i++) {
        random = random * 1103515245 + 12345;
        unsigned place = random >> 15 & (SIZE - 1);
        /* Across the end of a line as often as not. */
        load(place | 60);
        *(volatile unsigned *)(memory + ((place & ~3u) ^ 0x9a40)) = i;
        __asm__ volatile("addl $1, (%0)" : : "r"(memory + (random >> 8 & 0xfff0)) : "memory");
    }
    for (unsigned i = 0; i < 150; i++) {
        random = random * 1103515245 + 12345;
        random += pieces[random >> 28 & 7](random);
    }
}
