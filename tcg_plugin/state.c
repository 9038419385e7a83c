/* See state.h. */
#include "state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

qemu_plugin_id_t plugin_id;
uint8_t *file;
gb_control *control;
uint32_t generation;
bool armed, closing, opened, triggered, identity_map_left;
uint32_t hits_left, features, stop_reason;
gb_ring_place last_single[GB_MAX_VCPUS];
gb_ring rings[GB_MAX_VCPUS];
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
qemu_plugin_u64 begun, executed;
gb_reset_cb_t *reset_callback;

/* QEMU aborts when it is asked for a vCPU that it has not made yet. */
uint64_t begun_on(unsigned vcpu)
{
    bool known = features & GB_FEATURE_VERIFY && vcpu < (unsigned)qemu_plugin_num_vcpus();
    return known ? qemu_plugin_u64_get(begun, vcpu) : 0;
}

void event_64(gb_ring *ring, unsigned type, unsigned small, uint64_t value)
{
    uint32_t payload[2];
    put_64(payload, value);
    gb_ring_event(ring, type, small, payload, 2);
}

void event_filter(gb_ring *ring, unsigned on, uint64_t root)
{
    uint32_t payload[4];
    put_64(payload, root);
    put_64(payload + 2, begun_on(ring->vcpu));
    gb_ring_event(ring, GB_EVENT_FILTER, on, payload, 4);
}

bool put_exception(uint32_t words[GB_EXCEPTION_WORDS], int vector, uint8_t mode)
{
    gb_frame frame;
    if (!gb_guest_frame(vector, mode, &frame)) {
        return false;
    }
    words[0] = GB_EVENT_WORD(GB_EVENT_EXCEPTION, GB_EXCEPTION_WORDS - 1, (unsigned)vector);
    put_64(words + 1, frame.from_pc);
    put_64(words + 3, frame.error);
    return true;
}

void set_state(uint32_t state)
{
    __atomic_store_n(&control->state, state, __ATOMIC_RELEASE);
}

void set_error(const char *sentence)
{
    snprintf(control->error, sizeof control->error, "%s", sentence);
}

void request_reset(void)
{
    qemu_plugin_reset(plugin_id, reset_callback);
}

bool is_command_new(void)
{
    return __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE) != __atomic_load_n(&generation, __ATOMIC_RELAXED);
}

/* Whether process `pid` can still read: it exists and is not a zombie. */
static bool is_reader_alive(uint32_t pid)
{
    char path[32], text[256] = "";
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int stat = open(path, O_RDONLY | O_CLOEXEC);
    if (stat < 0) {
        return false;
    }
    ssize_t length = read(stat, text, sizeof text - 1);
    close(stat);
    const char *name_end = length > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

void close_from_vcpu(uint32_t reason, const char *sentence)
{
    if (!__atomic_exchange_n(&closing, true, __ATOMIC_ACQ_REL)) {
        stop_reason = reason;
        if (sentence) {
            set_error(sentence);
        }
        request_reset();
    }
}

bool keep_waiting(gb_ring *ring)
{
    (void)ring;
    if (__atomic_load_n(&control->abandon, __ATOMIC_ACQUIRE) || __atomic_load_n(&closing, __ATOMIC_ACQUIRE)) {
        return false;
    }
    if (!is_reader_alive(__atomic_load_n(&control->reader_pid, __ATOMIC_ACQUIRE))) {
        close_from_vcpu(GB_STOP_READER_DIED, "the reader of the trace died; start it and arm again");
        return false;
    }
    set_state(GB_STATE_WAITING);
    return true;
}

/* Bit i: roots[i] has been freed. Its page may become the root of a process that nobody asked for. */
static uint32_t freed_roots;
_Static_assert(GB_MAX_ROOTS == 32, "a bit for each root");

static uint32_t roots_like(uint64_t root)
{
    uint32_t found = 0;
    for (unsigned i = 0; i < control->root_count; i++) {
        found |= (uint32_t)(((root ^ control->roots[i]) & control->root_mask) == 0) << i;
    }
    return found;
}

void keep_roots(void)
{
    freed_roots = 0;
}

bool is_root_wanted(uint64_t root)
{
    return control->root_count == 0 || roots_like(root) & ~__atomic_load_n(&freed_roots, __ATOMIC_ACQUIRE);
}

bool free_root(uint64_t root)
{
    uint32_t all = (uint32_t)((UINT64_C(1) << control->root_count) - 1), like = roots_like(root);
    return like && (__atomic_or_fetch(&freed_roots, like, __ATOMIC_ACQ_REL) & all) == all;
}
