// Arguments to stdout, a line each, and to the file "echo" in the first directory that is given, if there is one; ends with their number.
typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { const char *at; u32 size; } Piece;
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(args_sizes_get) int args_sizes_get(u32 *count, u32 *size);
WASI(args_get) int args_get(char **arguments, char *texts);
WASI(path_open) int path_open(int directory, int lookup, const char *path, u32 length, int how, u64 rights, u64 inheriting, int flags, int *fd);
WASI(fd_write) int fd_write(int fd, const Piece *pieces, u32 count, u32 *written);
WASI(proc_exit) _Noreturn void proc_exit(int code);

static char *arguments[64];
static char texts[4096];

__attribute__((export_name("_start"))) void start(void) {
    u32 count, size, written;
    int file;
    args_sizes_get(&count, &size);
    if (count > 64 || size > sizeof texts) proc_exit(100);
    args_get(arguments, texts);
    for (u32 n = 0; n < size; n++)
        if (!texts[n]) texts[n] = '\n';
    Piece all = {texts, size};
    fd_write(1, &all, 1, &written);
    if (!path_open(3, 0, "echo", 4, 1, 64, 0, 0, &file)) fd_write(file, &all, 1, &written);
    proc_exit(count);
}
