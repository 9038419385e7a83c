/* The channel to the host's GPU: finds port and aperture, sends requests as lines of base64, waits for the reply to each. */
#include "glassbox_gpu.h"
#include "system.h"

enum { HEADER = 24, VERSION = 1, REPLY = 0x8000, COUNT_AT = 26, GRID_AT = 28, CLASS_AT = 25, SCHEDULE_AT = 48, POLL_MS = 20,
       MOST_PORTS = 8, MOST_SLOTS = 32, ANSWER_MS = 120000 };
enum { SUBMIT_PRIMITIVE = 0x100, ALLOC_MEMORY, FREE_MEMORY, QUERY_STATUS, CANCEL, WAIT, LIMITS, CAPABILITIES };

static const char SIGNS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* --- texts and numbers ---------------------------------------------------------------------------------- */

static int trouble(struct gbg *gpu, int kind, const char *message) {
    size_t length = text_length(message);
    if (length >= sizeof gpu->message) length = sizeof gpu->message - 1;
    copy_bytes(gpu->message, message, length);
    gpu->message[length] = 0;
    gpu->line = gpu->column = 0;
    gpu->left = 0;
    return kind;
}

static uint8_t *put(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* The next field of the reply; a reply that is too short reads as zeros. */
static uint64_t take(struct gbg *gpu, int bytes) {
    uint64_t value = gpu->taken + (uint32_t)bytes <= gpu->got ? get(gpu->reply + HEADER + gpu->taken, bytes) : 0;
    gpu->taken += (uint32_t)bytes;
    return value;
}

static void take_text(struct gbg *gpu, char *to, size_t size) {
    uint64_t length = take(gpu, 2), room = gpu->taken < gpu->got ? gpu->got - gpu->taken : 0;
    if (length > room) length = room;
    uint64_t shown = length < size ? length : size - 1;
    copy_bytes(to, gpu->reply + HEADER + gpu->taken, shown);
    to[shown] = 0;
    gpu->taken += (uint32_t)length;
}

static size_t encode(char *to, const uint8_t *from, size_t size) {
    char *at = to;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0);
        *at++ = SIGNS[group >> 18];
        *at++ = SIGNS[group >> 12 & 63];
        *at++ = left > 1 ? SIGNS[group >> 6 & 63] : '=';
        *at++ = left > 2 ? SIGNS[group & 63] : '=';
    }
    *at++ = '\n';
    return (size_t)(at - to);
}

static int value_of(char sign) {
    for (int value = 0; value < 64; value++)
        if (SIGNS[value] == sign) return value;
    return -1;
}

/* The bytes behind a line of base64, or 0 for what is none or is longer than `most`. */
static size_t decode(uint8_t *to, size_t most, const char *line, size_t length) {
    size_t size = 0;
    if (length % 4 || length / 4 * 3 > most) return 0;
    for (size_t i = 0; i < length; i += 4) {
        int pad = line[i + 2] == '=' ? 2 : line[i + 3] == '=' ? 1 : 0;
        int a = value_of(line[i]), b = value_of(line[i + 1]), c = pad > 1 ? 0 : value_of(line[i + 2]);
        int d = pad ? 0 : value_of(line[i + 3]);
        if (a < 0 || b < 0 || c < 0 || d < 0 || (pad && i + 4 < length)) return 0;
        uint32_t group = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
        to[size++] = (uint8_t)(group >> 16);
        if (pad < 2) to[size++] = (uint8_t)(group >> 8);
        if (pad < 1) to[size++] = (uint8_t)group;
    }
    return size;
}

/* --- the port ------------------------------------------------------------------------------------------- */

static int no_server(struct gbg *gpu) {
    return trouble(gpu, GBG_NO_SERVER, "no GPU server is connected to this guest; run 'glassbox gpu serve' on the host");
}

static int ready(struct gbg *gpu, int events, int64_t until_us) {
    for (;;) {
        struct poll_entry entry = {gpu->port, (short)events, 0};
        int64_t left_us = until_us < 0 ? 1000000 : until_us - sys_now_us();
        if (left_us <= 0) return trouble(gpu, GBG_NO_ANSWER, "the GPU's server does not answer; try again, or look at 'glassbox gpu top' on the host");
        long found = sys_poll(&entry, (int)(left_us / 1000 + 1));
        if (found > 0 && entry.found & events) return 0;
        if (found > 0 && entry.found & POLL_HUP) return no_server(gpu);
    }
}

static int send_all(struct gbg *gpu, const char *from, size_t size, int64_t until_us) {
    while (size) {
        int problem = ready(gpu, POLL_OUT, until_us);
        if (problem) return problem;
        long sent = sys_write(gpu->port, from, size);
        if (sent == -EAGAIN_ || sent == -EINTR_) continue;
        if (sent <= 0) return no_server(gpu);
        from += sent, size -= (size_t)sent;
    }
    return 0;
}

/* Read on, and put the first whole line into `reply`; its size there, 0 when a line was no frame, below 0 for trouble. */
static long next_line(struct gbg *gpu, size_t *filled, int64_t until_us) {
    for (;;) {
        for (size_t i = 0; i < *filled; i++) {
            if (gpu->received[i] != '\n') continue;
            size_t size = decode(gpu->reply, sizeof gpu->reply, gpu->received, i);
            for (size_t j = i + 1; j < *filled; j++) gpu->received[j - i - 1] = gpu->received[j];
            *filled -= i + 1;
            return size >= HEADER ? (long)size : 0;
        }
        if (*filled == sizeof gpu->received) *filled = 0;
        int problem = ready(gpu, POLL_IN, until_us);
        if (problem) return problem;
        long got = sys_read(gpu->port, gpu->received + *filled, sizeof gpu->received - *filled);
        if (got == -EAGAIN_ || got == -EINTR_) continue;
        if (got <= 0) return no_server(gpu);
        *filled += (size_t)got;
    }
}

/* Put a request into `sent` behind the `filled` bytes that are there; how many there are then. */
static size_t frame(struct gbg *gpu, size_t filled, int command, const uint8_t *payload, uint32_t size) {
    uint8_t content[HEADER + GBG_PAYLOAD], *at = content;
    at = put(put(put(at, VERSION, 2), (uint64_t)command, 2), size, 4);
    at = put(put(at, gpu->session, 8), ++gpu->number, 8);
    copy_bytes(at, payload, size);
    return filled + encode(gpu->sent + filled, content, HEADER + size);
}

/* Wait for the reply to request `number`; its code, or trouble. */
static int reply_to(struct gbg *gpu, uint64_t number, size_t *filled, int64_t until_us) {
    for (;;) {
        long got = next_line(gpu, filled, until_us);
        if (got < 0) return (int)got;
        /* What is not the reply to this request is that to one of a process that had the port before. */
        if (got < HEADER + 2 || get(gpu->reply + 8, 8) != gpu->session || get(gpu->reply + 16, 8) != number) continue;
        gpu->got = (uint32_t)got - HEADER;
        gpu->taken = 0;
        int code = (int)take(gpu, 2);
        if (!code) return 0;
        gpu->line = (uint32_t)take(gpu, 4);
        gpu->column = (uint32_t)take(gpu, 4);
        gpu->left = take(gpu, 8);
        take_text(gpu, gpu->message, sizeof gpu->message);
        return code;
    }
}

/* Send a request and wait for its reply, for `timeout_ms` (below 0: for ever); its code, or trouble. */
static int exchange(struct gbg *gpu, int command, const uint8_t *payload, uint32_t size, int64_t timeout_ms) {
    int64_t until_us = timeout_ms < 0 ? -1 : sys_now_us() + timeout_ms * 1000;
    size_t filled = 0;
    int problem = send_all(gpu, gpu->sent, frame(gpu, 0, command, payload, size), until_us);
    return problem ? problem : reply_to(gpu, gpu->number, &filled, until_us);
}

static long read_file(const char *path, char *to, size_t size) {
    int file = (int)sys_open(path, OPEN_READ, 0);
    if (file < 0) return file;
    long got = sys_read(file, to, size - 1);
    sys_close(file);
    if (got < 0) return got;
    if (got && to[got - 1] == '\n') got--;
    to[got] = 0;
    return got;
}

/* `prefix`, two digits of `number` in `base`, `suffix`; at least `digits` digits. */
static void make_path(char *to, const char *prefix, unsigned number, unsigned base, int digits, const char *suffix) {
    size_t at = text_length(prefix);
    copy_bytes(to, prefix, at);
    if (digits > 1 || number >= base) to[at++] = "0123456789abcdef"[number / base];
    to[at++] = "0123456789abcdef"[number % base];
    copy_bytes(to + at, suffix, text_length(suffix) + 1);
}

static int open_port(struct gbg *gpu) {
    char path[64], name[64];
    int64_t until_us = sys_now_us() + gpu->patience_ms * 1000LL;
    for (unsigned device = 0; device < MOST_PORTS; device++) {
        char bus[64];
        make_path(bus, "/sys/class/virtio-ports/vport", device, 10, 1, "p1");
        copy_bytes(path, bus, text_length(bus) + 1);
        copy_bytes(path + text_length(bus), "/name", 6);
        if (read_file(path, name, sizeof name) < 0 || !text_equal(name, "org.glassbox.gpu")) continue;
        make_path(path, "/dev/vport", device, 10, 1, "p1");
        for (;;) {
            gpu->port = (int)sys_open(path, OPEN_BOTH | OPEN_NONBLOCK, 0);
            if (gpu->port >= 0) return 0;
            if (gpu->port == -EACCES_) return trouble(gpu, GBG_NO_PORT, "the port to the GPU belongs to root; run this as root");
            if (gpu->port != -EBUSY_) return trouble(gpu, GBG_NO_PORT, "the port to the GPU cannot be opened");
            if (sys_now_us() > until_us)
                return trouble(gpu, GBG_PORT_BUSY, "another process of this guest has the port to the GPU; wait for it, or give --wait more");
            sys_sleep_ms(POLL_MS);
        }
    }
    return trouble(gpu, GBG_NO_PORT, "this guest has no port to a GPU; start it with 'glassbox start NAME --gpu' on the host");
}

static int map_aperture(struct gbg *gpu) {
    char path[64], word[16];
    for (unsigned slot = 0; slot < MOST_SLOTS; slot++) {
        make_path(path, "/sys/bus/pci/devices/0000:00:", slot, 16, 2, ".0/device");
        if (read_file(path, word, sizeof word) < 0 || !text_equal(word, "0x1110")) continue;
        make_path(path, "/sys/bus/pci/devices/0000:00:", slot, 16, 2, ".0/resource2");
        int file = (int)sys_open(path, OPEN_BOTH, 0);
        long size = file < 0 ? file : sys_size(file);
        long at = size <= 0 ? size : ask(SYS_MMAP, 0, size, 3, 1 /* MAP_SHARED */, file, 0);
        if (file >= 0) sys_close(file);
        if (size <= 0 || (at < 0 && at > -4096)) break;
        gpu->aperture = (uint8_t *)at;
        gpu->aperture_size = (uint64_t)size;
        return 0;
    }
    return trouble(gpu, GBG_NO_PORT, "the memory of the GPU's aperture cannot be mapped; does this kernel forbid it (lockdown)?");
}

int gbg_open(struct gbg *gpu, int patience_ms) {
    zero_bytes(gpu, offsetof(struct gbg, request));
    gpu->port = -1;
    gpu->patience_ms = patience_ms;
    int problem = open_port(gpu);
    if (!problem) problem = map_aperture(gpu);
    if (!problem && ask(SYS_GETRANDOM, (long)&gpu->session, sizeof gpu->session, 0, 0, 0, 0) < 0) gpu->session = (uint64_t)sys_now_us();
    /* An end of line: what a killed process left unfinished ends with it. */
    if (!problem) problem = send_all(gpu, "\n", 1, sys_now_us() + ANSWER_MS * 1000LL);
    if (!problem) problem = exchange(gpu, CAPABILITIES, gpu->request, 0, ANSWER_MS);
    if (problem) gbg_close(gpu);
    return problem;
}

void gbg_close(struct gbg *gpu) {
    if (gpu->port >= 0) sys_close(gpu->port);
    if (gpu->aperture) ask(SYS_MUNMAP, (long)gpu->aperture, (long)gpu->aperture_size, 0, 0, 0, 0);
    gpu->port = -1;
    gpu->aperture = 0;
}

/* --- commands ------------------------------------------------------------------------------------------- */

int gbg_alloc(struct gbg *gpu, uint64_t size, struct gbg_memory *memory) {
    uint8_t payload[8];
    put(payload, size, 8);
    int code = exchange(gpu, ALLOC_MEMORY, payload, 8, ANSWER_MS);
    if (code) return code;
    memory->handle = take(gpu, 8);
    memory->offset = take(gpu, 8);
    memory->size = size;
    if (memory->offset > gpu->aperture_size || size > gpu->aperture_size - memory->offset)
        return trouble(gpu, GBG_NO_ROOM, "the host gave memory outside of the aperture");
    memory->at = gpu->aperture + memory->offset;
    return 0;
}

int gbg_free(struct gbg *gpu, const struct gbg_memory *memory) {
    uint8_t payload[8];
    put(payload, memory->handle, 8);
    return exchange(gpu, FREE_MEMORY, payload, 8, ANSWER_MS);
}

static int add(struct gbg *gpu, uint64_t value, int bytes) {
    if (gpu->used + (uint32_t)bytes > GBG_PAYLOAD) return trouble(gpu, GBG_NO_ROOM, "the arguments do not fit into one request; give fewer, or shorter names");
    put(gpu->request + gpu->used, value, bytes);
    gpu->used += (uint32_t)bytes;
    return 0;
}

static int add_text(struct gbg *gpu, const char *text) {
    size_t length = text_length(text);
    if (length > GBG_PAYLOAD || add(gpu, length, 2)) return trouble(gpu, GBG_NO_ROOM, "a name is too long");
    if (gpu->used + length > GBG_PAYLOAD) return trouble(gpu, GBG_NO_ROOM, "the arguments do not fit into one request; give fewer, or shorter names");
    copy_bytes(gpu->request + gpu->used, text, length);
    gpu->used += (uint32_t)length;
    return 0;
}

int gbg_kernel(struct gbg *gpu, const struct gbg_memory *text, uint64_t length, int language, const char *name) {
    char label[32];
    gpu->used = gpu->arguments = 0;
    add(gpu, text->handle, 8), add(gpu, 0, 8), add(gpu, length, 8), add(gpu, (uint64_t)language, 1), add(gpu, 0, 1), add(gpu, 0, 2);
    add(gpu, 0, 8), add(gpu, 0, 8), add(gpu, 0, 4), add(gpu, 0, 8), add(gpu, 0, 8), add(gpu, 0, 8);
    if (read_file("/proc/self/comm", label, sizeof label) < 0) label[0] = 0;
    int problem = add_text(gpu, name ? name : "");
    return problem ? problem : add_text(gpu, label);
}

void gbg_grid(struct gbg *gpu, uint64_t lanes, uint64_t blocks, uint32_t threads) {
    put(put(put(gpu->request + GRID_AT, lanes, 8), blocks, 8), threads, 4);
}

void gbg_schedule(struct gbg *gpu, int job_class, uint64_t deadline_us, uint64_t limit_us, uint64_t fuel) {
    gpu->request[CLASS_AT] = (uint8_t)job_class;
    put(put(put(gpu->request + SCHEDULE_AT, deadline_us, 8), limit_us, 8), fuel, 8);
}

static int begin_argument(struct gbg *gpu, int kind, const char *name) {
    put(gpu->request + COUNT_AT, ++gpu->arguments, 2);
    return add(gpu, (uint64_t)kind, 1) ? GBG_NO_ROOM : add_text(gpu, name);
}

int gbg_number(struct gbg *gpu, const char *name, const char *text) {
    int problem = begin_argument(gpu, 0, name);
    return problem ? problem : add_text(gpu, text);
}

int gbg_memory_argument(struct gbg *gpu, const char *name, const struct gbg_memory *memory, uint64_t offset, uint64_t size, int element) {
    int problem = begin_argument(gpu, 1, name);
    if (problem || (problem = add(gpu, (uint64_t)element, 1)) || (problem = add(gpu, memory->handle, 8))) return problem;
    return (problem = add(gpu, offset, 8)) ? problem : add(gpu, size, 8);
}

int gbg_own_argument(struct gbg *gpu, const char *name, const void *at, uint64_t size, int element) {
    int problem = begin_argument(gpu, 2, name);
    if (problem || (problem = add(gpu, (uint64_t)element, 1))) return problem;
    if ((problem = add(gpu, (uint64_t)ask(SYS_GETPID, 0, 0, 0, 0, 0, 0), 4)) || (problem = add(gpu, (uint64_t)at, 8))) return problem;
    /* Pages that were never touched are nowhere in RAM, so the host could not find them. */
    for (uint64_t byte = 0; byte < size; byte += 4096) (void)((const volatile uint8_t *)at)[byte];
    if (size) (void)((const volatile uint8_t *)at)[size - 1];
    return add(gpu, size, 8);
}

int gbg_submit(struct gbg *gpu, uint64_t *job) {
    int code = exchange(gpu, SUBMIT_PRIMITIVE, gpu->request, gpu->used, ANSWER_MS);
    if (!code) *job = take(gpu, 8);
    return code;
}

static void take_result(struct gbg *gpu, struct gbg_result *result) {
    result->state = (int)take(gpu, 1);
    result->queued_us = take(gpu, 8);
    result->built_us = take(gpu, 8);
    result->device_us = take(gpu, 8);
    result->slices = (uint32_t)take(gpu, 4);
    take_text(gpu, result->printed, sizeof result->printed);
}

int gbg_wait(struct gbg *gpu, uint64_t job, int timeout_ms, struct gbg_result *result) {
    uint8_t payload[12];
    put(put(payload, job, 8), timeout_ms < 0 ? 0xffffffff : (uint64_t)timeout_ms, 4);
    int code = exchange(gpu, WAIT, payload, 12, timeout_ms < 0 ? -1 : timeout_ms + ANSWER_MS);
    if (!code) take_result(gpu, result);
    return code;
}

int gbg_run(struct gbg *gpu, uint64_t *job, struct gbg_result *result) {
    uint8_t last[12];
    put(put(last, 0, 8), 0xffffffff, 4);
    size_t size = frame(gpu, 0, SUBMIT_PRIMITIVE, gpu->request, gpu->used), filled = 0;
    size = frame(gpu, size, WAIT, last, sizeof last);
    int problem = send_all(gpu, gpu->sent, size, -1);
    if (problem) return problem;
    int code = reply_to(gpu, gpu->number - 1, &filled, -1);
    /* The wait of a submission that was refused is answered, too, and skipped by its number. */
    if (code) return code;
    *job = take(gpu, 8);
    if (!(code = reply_to(gpu, gpu->number, &filled, -1))) take_result(gpu, result);
    return code;
}

int gbg_status(struct gbg *gpu, uint64_t job, struct gbg_result *result) {
    uint8_t payload[8];
    put(payload, job, 8);
    int code = exchange(gpu, QUERY_STATUS, payload, 8, ANSWER_MS);
    if (!code) take_result(gpu, result);
    return code;
}

int gbg_cancel(struct gbg *gpu, uint64_t job) {
    uint8_t payload[8];
    put(payload, job, 8);
    return exchange(gpu, CANCEL, payload, 8, ANSWER_MS);
}

int gbg_limits(struct gbg *gpu, struct gbg_limits *limits) {
    int code = exchange(gpu, LIMITS, gpu->request, 0, ANSWER_MS);
    if (code) return code;
    uint64_t weight = take(gpu, 8);
    copy_bytes(&limits->weight, &weight, 8);
    limits->memory = take(gpu, 8);
    limits->memory_used = take(gpu, 8);
    limits->aperture = take(gpu, 8);
    limits->aperture_used = take(gpu, 8);
    limits->jobs = take(gpu, 8);
    limits->jobs_queued = take(gpu, 8);
    return 0;
}

int gbg_capabilities(struct gbg *gpu, char *text, size_t size) {
    int code = exchange(gpu, CAPABILITIES, gpu->request, 0, ANSWER_MS);
    if (code) return code;
    take(gpu, 2), take(gpu, 4), take(gpu, 8);
    take_text(gpu, text, size);
    return 0;
}
