/* A program that does what its first argument says, for tests of gpu-run; it calls WASI without a library of C. */
#include <stdint.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int wasi_##name
WASI(args_sizes_get)(uint32_t *count, uint32_t *bytes);
WASI(args_get)(char **words, char *text);
WASI(environ_sizes_get)(uint32_t *count, uint32_t *bytes);
WASI(environ_get)(char **words, char *text);
WASI(fd_write)(int fd, const void *parts, int count, uint32_t *written);
WASI(fd_read)(int fd, const void *parts, int count, uint32_t *got);
WASI(fd_close)(int fd);
WASI(path_open)(int fd, int follow, const char *path, int length, int flags, int64_t rights, int64_t inner, int fd_flags, int *opened);
WASI(poll_oneoff)(const void *wanted, void *events, int count, uint32_t *got);
WASI(random_get)(void *bytes, int count);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) void wasi_proc_exit(int code);

enum { OUT = 1, ERR = 2, CREATE = 1, TRUNCATE = 8, FIRST_FOLDER = 3, LAST_FOLDER = 6 };
static const int64_t READ = 2, WRITE = 64;

static volatile uint32_t kept;
static char *words[64], text[4096];

static uint32_t length_of(const char *word) {
    uint32_t count = 0;
    while (word[count]) count++;
    return count;
}

static int same(const char *one, const char *other) {
    while (*one && *one == *other) one++, other++;
    return *one == *other;
}

static void put(int fd, const char *bytes, uint32_t count) {
    struct { const char *at; uint32_t count; } part = {bytes, count};
    uint32_t done;
    wasi_fd_write(fd, &part, 1, &done);
}

static void print(int fd, const char *word) { put(fd, word, length_of(word)); }

static uint32_t number(const char *word) {
    uint32_t found = 0;
    while (*word >= '0' && *word <= '9') found = found * 10 + (*word++ - '0');
    return found;
}

static void print_number(uint32_t value) {
    char digits[12];
    int at = sizeof digits - 1;
    digits[at] = '\n';
    do digits[--at] = '0' + value % 10;
    while (value /= 10);
    put(OUT, digits + at, sizeof digits - at);
}

__attribute__((noinline)) static void inner(void) {
    kept++;
    __builtin_trap();
}

__attribute__((noinline)) static void outer(void) {
    print(OUT, "before\n");
    inner();
}

__attribute__((noinline)) static uint32_t deep(uint32_t n) {
    uint32_t found = n == UINT32_MAX ? 0 : deep(n + 1);
    return found + kept;
}

__attribute__((noinline)) static void stuck(void) {
    for (;;) kept++;
}

/* As stuck, in a loop that may call the host. */
__attribute__((noinline)) static void spin(void) {
    for (;;)
        if (++kept == UINT32_MAX) print(OUT, "once round\n");
}

/* Takes memory until there is no more. */
static int bomb(void) {
    while (__builtin_wasm_memory_grow(0, 1) != (unsigned long)-1) kept++;
    print(OUT, "out of memory\n");
    return 7;
}

static int copy(int from, int to) {
    static char bytes[100];
    struct { char *at; uint32_t count; } part = {bytes, sizeof bytes};
    uint32_t got;
    while (!wasi_fd_read(from, &part, 1, &got) && got) put(to, bytes, got);
    return 0;
}

static int opened(const char *path, int flags, int64_t rights) {
    int fd, error = 0;
    for (int folder = FIRST_FOLDER; folder < LAST_FOLDER; folder++) {
        int found = wasi_path_open(folder, 1, path, length_of(path), flags, rights, rights, 0, &fd);
        if (!found) return fd;
        if (found != 8) error = found;
    }
    print(ERR, "cannot open ");
    print(ERR, path);
    print(ERR, "\n");
    wasi_proc_exit(60 + error);
}

static int save(const char *path, const char *what) {
    int fd = opened(path, CREATE | TRUNCATE, WRITE);
    print(fd, what);
    return wasi_fd_close(fd);
}

static int variable(const char *name) {
    static char *found[64], bytes[4096];
    uint32_t count, size, length = length_of(name);
    wasi_environ_sizes_get(&count, &size);
    wasi_environ_get(found, bytes);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = 0;
        while (at < length && found[n][at] == name[at]) at++;
        if (at == length && found[n][at] == '=') {
            print(OUT, found[n] + length + 1);
            print(OUT, "\n");
            return 0;
        }
    }
    return 1;
}

static int rest(uint32_t milliseconds) {
    struct { uint64_t user, kind; uint32_t clock; uint64_t time, precision; uint16_t flags; } wanted = {0, 0, 1, milliseconds * 1000000ull, 0, 0};
    static char event[32];
    uint32_t got;
    return wasi_poll_oneoff(&wanted, event, 1, &got);
}

static int dice(void) {
    unsigned bytes;
    wasi_random_get(&bytes, sizeof bytes);
    print_number(bytes);
    return 0;
}

/* Rounds of xorshift. */
static uint32_t mix(uint32_t x, uint32_t rounds) {
    while (rounds--) x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return x;
}

static int run(uint32_t count) {
    const char *what = count > 1 ? words[1] : "echo", *one = count > 2 ? words[2] : "", *two = count > 3 ? words[3] : "";
    if (same(what, "echo")) {
        for (uint32_t n = 2; n < count; n++) {
            print(OUT, words[n]);
            print(OUT, n + 1 < count ? " " : "\n");
        }
    } else if (same(what, "exit")) {
        print(OUT, "leaving\n");
        return number(one);
    } else if (same(what, "both")) {
        print(OUT, "one\n");
        print(ERR, "error\n");
        print(OUT, "two\n");
    } else if (same(what, "trap")) {
        outer();
    } else if (same(what, "spin")) {
        print(OUT, "spinning\n");
        spin();
    } else if (same(what, "stuck")) {
        stuck();
    } else if (same(what, "deep")) {
        print_number(deep(1));
    } else if (same(what, "bomb")) {
        return bomb();
    } else if (same(what, "cat")) {
        return copy(opened(one, 0, READ), OUT);
    } else if (same(what, "save")) {
        return save(one, two);
    } else if (same(what, "in")) {
        return copy(0, OUT);
    } else if (same(what, "env")) {
        return variable(one);
    } else if (same(what, "sleep")) {
        return rest(number(one));
    } else if (same(what, "random")) {
        return dice();
    } else if (same(what, "mix")) {
        print_number(mix(number(two) + 1, number(one)));
    }
    return 0;
}

__attribute__((export_name("_start"))) void start(void) {
    uint32_t count, bytes;
    wasi_args_sizes_get(&count, &bytes);
    wasi_args_get(words, text);
    int code = run(count);
    if (code) wasi_proc_exit(code);
}
