/* What gpu-submit needs of Linux on x86-64 and of a C library, so that it runs in a guest that has none: system calls, strings, memory. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stddef.h>
#include <stdint.h>

enum { SYS_READ = 0, SYS_WRITE = 1, SYS_OPEN = 2, SYS_CLOSE = 3, SYS_FSTAT = 5, SYS_POLL = 7, SYS_MMAP = 9, SYS_MUNMAP = 11,
       SYS_NANOSLEEP = 35, SYS_GETPID = 39, SYS_EXIT = 60, SYS_CLOCK_GETTIME = 228, SYS_GETRANDOM = 318 };
enum { OPEN_READ = 0, OPEN_WRITE = 1, OPEN_BOTH = 2, OPEN_CREATE = 0100, OPEN_EXCLUSIVE = 0200, OPEN_TRUNCATE = 01000,
       OPEN_NONBLOCK = 04000, OPEN_CLOEXEC = 02000000 };
enum { ENOENT_ = 2, EINTR_ = 4, EAGAIN_ = 11, EACCES_ = 13, EBUSY_ = 16, EEXIST_ = 17, ENODEV_ = 19 };
enum { POLL_IN = 1, POLL_OUT = 4, POLL_HUP = 16 };

static inline long ask(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

struct poll_entry { int file; short events, found; };
struct time_spec { long seconds, nanoseconds; };

static inline long sys_open(const char *path, int flags, int mode) {
    return ask(SYS_OPEN, (long)path, flags | OPEN_CLOEXEC, mode, 0, 0, 0);
}
static inline long sys_close(int file) { return ask(SYS_CLOSE, file, 0, 0, 0, 0, 0); }
static inline long sys_read(int file, void *to, size_t size) { return ask(SYS_READ, file, (long)to, (long)size, 0, 0, 0); }
static inline long sys_write(int file, const void *from, size_t size) {
    return ask(SYS_WRITE, file, (long)from, (long)size, 0, 0, 0);
}
/* Bytes of a plain file, or of a PCI device's memory; below 0 for what has no size. */
static inline long sys_size(int file) {
    struct { uint64_t device, inode, links; uint32_t mode, user, group, gap; uint64_t special; int64_t size; uint64_t rest[11]; } found;
    long result = ask(SYS_FSTAT, file, (long)&found, 0, 0, 0, 0);
    return result < 0 ? result : (found.mode & 0170000) == 0100000 ? found.size : -ENODEV_;
}
static inline long sys_poll(struct poll_entry *entry, int milliseconds) {
    return ask(SYS_POLL, (long)entry, 1, milliseconds, 0, 0, 0);
}
static inline void sys_sleep_ms(long milliseconds) {
    struct time_spec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    ask(SYS_NANOSLEEP, (long)&time, 0, 0, 0, 0, 0);
}
static inline int64_t sys_now_us(void) {
    struct time_spec time = {0, 0};
    ask(SYS_CLOCK_GETTIME, 1 /* CLOCK_MONOTONIC */, (long)&time, 0, 0, 0, 0);
    return time.seconds * 1000000LL + time.nanoseconds / 1000;
}

static inline size_t text_length(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}
static inline int text_equal(const char *one, const char *other) {
    while (*one && *one == *other) one++, other++;
    return *one == *other;
}
static inline const char *text_after(const char *text, char mark) {
    while (*text && *text != mark) text++;
    return *text ? text + 1 : 0;
}
/* One volatile byte at a time: a compiler would call memcpy otherwise, which is not there. */
static inline void copy_bytes(void *to, const void *from, size_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
static inline void zero_bytes(void *to, size_t size) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

#endif
