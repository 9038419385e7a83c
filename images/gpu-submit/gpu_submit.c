/* gpu-submit: run a kernel on the GPU of this guest's host. Arrays are files of plain elements, little end first. */
#include "glassbox_gpu.h"
#include "system.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_GPU = 3, EXIT_REFUSED = 4, MOST = 64, OUT = 1, ERR = 2 };

static const char HELP[] =
    "usage: gpu-submit FILE [options]        run a kernel of FILE, in the primitives language (or IR, in a file *.ir)\n"
    "       gpu-submit --limits | --status [JOB]\n\n"
    "  --kernel NAME       which kernel of the file (default: the only one)\n"
    "  --set NAME=VALUE    a number\n"
    "  --in NAME=FILE      an array from a file; its ending is the type: .u8 .i8 .u16 .i16 .u32 .i32 .u64 .i64 .f32 .f64\n"
    "  --map NAME=FILE     the same, read by the host out of this process's memory: the guest copies nothing\n"
    "  --new NAME=COUNT    an array of COUNT zeros; its type is that of its --out\n"
    "  --out NAME=FILE     write an array afterwards; without --in or --new it begins as zeros, as many as the longest array has\n"
    "  --lanes N           lanes (default: elements of the longest array); or --blocks N; --threads N: lanes of a group\n"
    "  --class CLASS       realtime, batch, throughput or interactive (default: inferred)\n"
    "  --deadline-ms N     when it must be done, from now on\n"
    "  --limit-ms N        device time that it may take; --fuel N: ways round loops that each lane may go\n"
    "  --wait SECONDS      how long to wait for the port while another process has it (default: 10)\n"
    "  --force             replace output files that exist\n"
    "  -v                  say what it took\n\n"
    "example: gpu-submit saxpy.gpk --set a=2 --in x=x.f32 --in y=y.f32 --out y=out.f32\n"
    "exit status: 0 done, 1 the kernel failed, 2 a mistake in arguments or in the kernel's text, 3 no GPU, 4 refused: over a limit\n";

static const char *const TYPES[] = {"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"};
static const uint8_t SIZES[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
static const char *const CLASSES[] = {"inferred", "realtime", "batch", "throughput", "interactive"};
static const char *const STATES[] = {"?", "building", "queued", "running", "done", "failed", "cancelled"};

struct array {
    const char *name, *from, *to;
    size_t name_length;
    uint64_t count, size;
    int element, is_mapped, is_new;
    const void *mapped;
    struct gbg_memory memory;
};

static struct gbg gpu;
static struct array arrays[MOST];
static int array_count;
static const char *numbers[MOST];
static int number_count;
static char names[MOST * 2][MOST];
static int name_count;

static void say(int file, const char *text) { sys_write(file, text, text_length(text)); }

static void say_number(int file, uint64_t value) {
    char digits[24];
    int at = sizeof digits - 1;
    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    say(file, digits + at);
}

static _Noreturn void leave(int status) {
    for (;;) ask(SYS_EXIT, status, 0, 0, 0, 0, 0);
}

static _Noreturn void mistake(const char *what, const char *word, const char *advice) {
    say(ERR, "gpu-submit: "), say(ERR, what), say(ERR, word), say(ERR, advice), say(ERR, "\n");
    leave(EXIT_USAGE);
}

/* What the library or the host says, and the exit status that belongs to it. */
static _Noreturn void give_up(const char *file, int code) {
    say(ERR, "gpu-submit: ");
    if (code == GBG_SOURCE && gpu.line) {
        say(ERR, file), say(ERR, ":"), say_number(ERR, gpu.line), say(ERR, ":"), say_number(ERR, gpu.column), say(ERR, ": ");
    }
    say(ERR, gpu.message), say(ERR, "\n");
    gbg_close(&gpu);
    if (code < 0) leave(code == GBG_NO_ROOM ? EXIT_USAGE : EXIT_NO_GPU);
    if (code == GBG_QUOTA || code == GBG_DEADLINE || code == GBG_REFUSED || code == GBG_BUSY) leave(EXIT_REFUSED);
    if (code == GBG_TRAP || code == GBG_LIMIT || code == GBG_DEVICE || code == GBG_CANCELLED || code == GBG_FAILED) leave(EXIT_FAILED);
    leave(EXIT_USAGE);
}

static uint64_t number(const char *option, const char *text) {
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value < 1ULL << 56; at++) value = value * 10 + (uint64_t)(*at - '0');
    if (*at || at == text) mistake(option, " takes a number, not ", text);
    return value;
}

static int type_of(const char *path) {
    const char *ending = 0;
    for (const char *at = path; (at = text_after(at, '.')); ending = at) {}
    for (int type = 0; ending && type < 10; type++)
        if (text_equal(ending, TYPES[type])) return type;
    return -1;
}

static struct array *find(const char *option, const char *word) {
    const char *value = text_after(word, '=');
    size_t length = value ? (size_t)(value - word) - 1 : 0;
    if (!value || !*value || !length || length >= MOST) mistake(option, " takes NAME=VALUE, not ", word);
    for (int i = 0; i < array_count; i++) {
        struct array *array = arrays + i;
        size_t same = 0;
        while (same < length && same < array->name_length && array->name[same] == word[same]) same++;
        if (same == length && length == array->name_length) return array;
    }
    if (array_count == MOST || name_count == MOST * 2) mistake("too many arrays; a kernel takes up to 64: ", word, "");
    copy_bytes(names[name_count], word, length);
    struct array *array = arrays + array_count++;
    array->name = names[name_count++];
    array->name_length = length;
    array->element = -1;
    return array;
}

static void add_array(const char *option, const char *word) {
    struct array *array = find(option, word);
    const char *value = text_after(word, '=');
    int is_output = text_equal(option, "--out"), is_new = text_equal(option, "--new");
    if (!is_new) {
        int type = type_of(value);
        if (type < 0) mistake("", value, " does not say what it holds; let its name end with its type, such as .f32");
        if (array->element >= 0 && array->element != type) mistake("", word, ": the array has another type in another option");
        array->element = type;
    }
    if (is_output ? array->to != 0 : array->from || array->is_new) mistake(option, " is given twice for ", word);
    if (is_new) array->is_new = 1, array->count = number(option, value);
    else if (is_output) array->to = value;
    else array->from = value, array->is_mapped = text_equal(option, "--map");
}

static int open_input(const char *path, uint64_t *size) {
    int file = (int)sys_open(path, OPEN_READ, 0);
    long end = file < 0 ? file : sys_size(file);
    if (end < 0) mistake("", path, " cannot be read; is it a file?");
    *size = (uint64_t)end;
    return file;
}

static void read_whole(int file, const char *path, uint8_t *to, uint64_t size) {
    while (size) {
        long got = sys_read(file, to, size);
        if (got <= 0) mistake("", path, " became shorter while it was read");
        to += got, size -= (uint64_t)got;
    }
    sys_close(file);
}

static void write_whole(const struct array *array, int is_forced) {
    int file = (int)sys_open(array->to, OPEN_WRITE | OPEN_CREATE | (is_forced ? OPEN_TRUNCATE : OPEN_EXCLUSIVE), 0644);
    const uint8_t *from = array->memory.at;
    uint64_t left = array->size;
    while (file >= 0 && left) {
        long sent = sys_write(file, from, left);
        if (sent <= 0) break;
        from += sent, left -= (uint64_t)sent;
    }
    if (file < 0 || left) {
        say(ERR, "gpu-submit: "), say(ERR, array->to), say(ERR, " cannot be written; is there room?\n");
        leave(EXIT_FAILED);
    }
    sys_close(file);
}

static void allocate(const char *file, uint64_t size, struct gbg_memory *memory) {
    int code = gbg_alloc(&gpu, size, memory);
    if (code) give_up(file, code);
}

/* How many elements each array has; files stay open for `load`. */
static uint64_t measure(int *files, int is_forced) {
    uint64_t longest = 0;
    for (int i = 0; i < array_count; i++) {
        struct array *array = arrays + i;
        files[i] = -1;
        if (array->from) {
            files[i] = open_input(array->from, &array->size);
            if (array->size % SIZES[array->element]) mistake("", array->from, " does not hold whole elements of its type");
            array->count = array->size / SIZES[array->element];
        }
        if (array->is_new && array->element < 0) array->element = GBG_F32;
        if (array->to && array->is_mapped) mistake("", array->name, ": what is mapped is only read; give it with --in to write it");
        long found = array->to && !is_forced ? sys_open(array->to, OPEN_READ, 0) : -ENOENT_;
        if (found >= 0) mistake("", array->to, " exists; give --out another name, or --force to replace it");
        if (array->count > longest) longest = array->count;
    }
    return longest;
}

static void load(const char *file, const int *files, uint64_t longest) {
    for (int i = 0; i < array_count; i++) {
        struct array *array = arrays + i;
        if (!array->from && !array->is_new) array->count = longest;
        array->size = array->count * SIZES[array->element];
        if (array->is_mapped) {
            long at = array->size ? ask(SYS_MMAP, 0, (long)array->size, 1, 2 | 0x8000 /* PRIVATE, POPULATE */, files[i], 0) : 0;
            if (at < 0 && at > -4096) mistake("", array->from, " cannot be mapped");
            array->mapped = (const void *)at;
        } else {
            allocate(file, array->size, &array->memory);
            if (array->from) read_whole(files[i], array->from, array->memory.at, array->size);
        }
    }
}

static void submit(const char *file, const char *kernel, int is_forced, const uint64_t *grid, const uint64_t *plan, int is_verbose) {
    int files[MOST], code;
    uint64_t longest = measure(files, is_forced), size, job;
    struct gbg_memory text;
    struct gbg_result result;
    int source = open_input(file, &size);
    if (!longest && !grid[0] && !grid[1]) mistake("how many lanes are there? give an array, or --lanes N", "", "");
    if ((code = gbg_open(&gpu, (int)plan[4]))) give_up(file, code);
    allocate(file, size, &text);
    read_whole(source, file, text.at, size);
    load(file, files, longest);
    const char *ending = 0;
    for (const char *at = file; (at = text_after(at, '.')); ending = at) {}
    code = gbg_kernel(&gpu, &text, size, ending && text_equal(ending, "ir") ? GBG_IR : GBG_GPK, kernel);
    gbg_grid(&gpu, grid[0] || grid[1] ? grid[0] : longest, grid[1], (uint32_t)grid[2]);
    gbg_schedule(&gpu, (int)plan[0], plan[1], plan[2], plan[3]);
    for (int i = 0; i < number_count && !code; i++) {
        const char *value = text_after(numbers[i], '=');
        if (!value || value - numbers[i] > MOST) mistake("--set", " takes NAME=VALUE, not ", numbers[i]);
        char name[MOST];
        zero_bytes(name, sizeof name);
        copy_bytes(name, numbers[i], (size_t)(value - numbers[i]) - 1);
        code = gbg_number(&gpu, name, value);
    }
    for (int i = 0; i < array_count && !code; i++) {
        struct array *array = arrays + i;
        code = array->is_mapped ? gbg_own_argument(&gpu, array->name, array->mapped, array->size, array->element)
                                : gbg_memory_argument(&gpu, array->name, &array->memory, 0, array->size, array->element);
    }
    if (!code) code = gbg_run(&gpu, &job, &result);
    if (code) give_up(file, code);
    say(OUT, result.printed);
    for (int i = 0; i < array_count; i++)
        if (arrays[i].to) write_whole(arrays + i, is_forced);
    if (is_verbose) {
        say(ERR, "gpu-submit: job "), say_number(ERR, job), say(ERR, ": built "), say_number(ERR, result.built_us);
        say(ERR, " us, queued "), say_number(ERR, result.queued_us), say(ERR, " us, on the device "), say_number(ERR, result.device_us);
        say(ERR, " us in "), say_number(ERR, result.slices), say(ERR, " slices\n");
    }
}

static void show_line(const char *what, uint64_t used, uint64_t most, const char *unit) {
    say(OUT, what), say_number(OUT, used), say(OUT, " of "), say_number(OUT, most), say(OUT, unit);
}

static void show_limits(void) {
    struct gbg_limits limits;
    char text[512];
    int code = gbg_capabilities(&gpu, text, sizeof text);
    if (code || (code = gbg_limits(&gpu, &limits))) give_up("", code);
    say(OUT, "device    "), say(OUT, text);
    say(OUT, "\nweight    "), say_number(OUT, (uint64_t)limits.weight), say(OUT, "\n");
    show_line("memory    ", limits.memory_used, limits.memory, " bytes\n");
    show_line("aperture  ", limits.aperture_used, limits.aperture, " bytes\n");
    show_line("queue     ", limits.jobs_queued, limits.jobs, " jobs\n");
}

static void show_status(const char *word) {
    struct gbg_result result;
    int code = gbg_status(&gpu, word ? number("--status", word) : 0, &result);
    if (code) give_up("", code);
    if (result.state < 1 || result.state > 6) result.state = 0;
    say(OUT, word ? STATES[result.state] : "served"), say(OUT, "\n");
}

static void run(int count, char **words) {
    const char *file = 0, *kernel = 0, *ask_for = 0, *job = 0;
    uint64_t grid[3] = {0, 0, 0}, plan[5] = {0, 0, 0, 0, 10000};
    int is_forced = 0, is_verbose = 0;
    for (int i = 1; i < count; i++) {
        const char *word = words[i], *value = i + 1 < count ? words[i + 1] : 0;
        if (text_equal(word, "--help") || text_equal(word, "-h")) { say(OUT, HELP); return; }
        if (text_equal(word, "--force")) { is_forced = 1; continue; }
        if (text_equal(word, "-v")) { is_verbose = 1; continue; }
        if (text_equal(word, "--limits")) { ask_for = word; continue; }
        if (text_equal(word, "--status")) { ask_for = word; job = value && *value != '-' ? words[++i] : 0; continue; }
        if (word[0] != '-') {
            if (file) mistake("one file of kernels at a time; ", word, " is a second");
            file = word;
            continue;
        }
        static const char *const OPTIONS[] = {"--kernel", "--set", "--in", "--map", "--new", "--out", "--class", "--wait", "--lanes",
                                              "--blocks", "--threads", "--deadline-ms", "--limit-ms", "--fuel"};
        int option = 0;
        while (option < 14 && !text_equal(word, OPTIONS[option])) option++;
        if (option == 14) mistake("there is no option ", word, "; see gpu-submit --help");
        if (!value) mistake("", word, " needs a value behind it");
        i++;
        if (option == 0) kernel = value;
        else if (option == 1) {
            if (number_count == MOST) mistake("too many numbers; a kernel takes up to 64: ", value, "");
            numbers[number_count++] = value;
        } else if (option < 6) add_array(word, value);
        else if (option == 6) {
            while (plan[0] < 5 && !text_equal(value, CLASSES[plan[0]])) plan[0]++;
            if (plan[0] == 5) mistake("", value, " is no class; classes are realtime, batch, throughput, interactive");
        } else if (option == 7) plan[4] = number(word, value) * 1000;
        else if (option < 11) grid[option - 8] = number(word, value);
        else plan[option - 10] = number(word, value) * (option < 13 ? 1000 : 1);
    }
    if (file && !ask_for) { submit(file, kernel, is_forced, grid, plan, is_verbose); gbg_close(&gpu); return; }
    if (!ask_for) mistake("no file of kernels", "", "; see gpu-submit --help");
    int code = gbg_open(&gpu, (int)plan[4]);
    if (code) give_up("", code);
    if (text_equal(ask_for, "--limits")) show_limits();
    else show_status(job);
    gbg_close(&gpu);
}

/* The kernel puts the count of words and the words on the stack. */
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call start\n hlt\n");

__attribute__((used)) _Noreturn void start(long *stack) {
    run((int)stack[0], (char **)(stack + 1));
    leave(EXIT_DONE);
}
