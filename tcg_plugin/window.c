/* Opening and closing a window: the rings, the conditions, and what a vCPU does when nobody reads. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

qemu_plugin_id_t plugin_id;
uint8_t *file;
gb_control *control;
uint32_t generation;
bool armed, closing, opened, trigger_came, settled;
uint32_t hits_left, features, stop_reason;
gb_ring rings[GB_MAX_VCPUS];
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
qemu_plugin_u64 begun, executed;
static uint64_t deadline_ns;

/* VERIFY: instructions begun on a vCPU since it was made; QEMU aborts when it is asked too early. */
static uint64_t begun_on(unsigned vcpu)
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

void set_state(uint32_t state)
{
    __atomic_store_n(&control->state, state, __ATOMIC_RELEASE);
}

void fail(const char *sentence)
{
    snprintf(control->error, sizeof control->error, "%s", sentence);
}

void ask_for_reset(void)
{
    qemu_plugin_reset(plugin_id, on_reset);
}

bool is_command_new(void)
{
    return __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE) != __atomic_load_n(&generation, __ATOMIC_RELAXED);
}

/* Whether process `pid` can still read: it exists and is no zombie. */
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
            fail(sentence);
        }
        ask_for_reset();
    }
}

bool keep_waiting(gb_ring *ring)
{
    (void)ring;
    if (__atomic_load_n(&control->abandon, __ATOMIC_ACQUIRE) || __atomic_load_n(&closing, __ATOMIC_ACQUIRE)) {
        return false;
    }
    if (!is_reader_alive(__atomic_load_n(&control->reader_pid, __ATOMIC_ACQUIRE))) {
        close_from_vcpu(GB_STOP_READER_DIED, "the reader of the trace died; start it again and arm anew");
        return false;
    }
    set_state(GB_STATE_WAITING);
    return true;
}

static void on_publishing(gb_ring *ring)
{
    ring->instructions = begun_on(ring->vcpu);
    if (control->state == GB_STATE_WAITING) {
        set_state(GB_STATE_ARMED);
    }
    if (deadline_ns && gb_time_ns() >= deadline_ns) {
        close_from_vcpu(GB_STOP_LIMIT, NULL);
    } else if (is_command_new() && !closing) {
        close_from_vcpu(GB_STOP_ASKED, NULL);
    }
}

static bool is_geometry_sound(void)
{
    return control->chunk_bytes >= GB_MIN_CHUNK_BYTES && control->chunk_bytes % 64 == 0 &&
           control->chunks >= GB_MIN_CHUNKS &&
           (uint64_t)control->chunk_bytes * control->chunks <= control->ring_stride &&
           control->range_count <= GB_MAX_RANGES && control->root_count <= GB_MAX_ROOTS &&
           control->point_count <= GB_MAX_POINTS;
}

bool is_root_wanted(uint64_t root)
{
    bool wanted = control->root_count == 0;
    for (unsigned i = 0; i < control->root_count; i++) {
        wanted |= ((root ^ control->roots[i]) & control->root_mask) == 0;
    }
    return wanted;
}

static bool prepare_ring(unsigned vcpu)
{
    gb_ring *ring = &rings[vcpu];
    gb_vcpu *page = vcpu_page(vcpu);
    uint32_t *scratch = realloc(ring->scratch, control->chunk_bytes);
    if (!ring->pages) {
        ring->pages = calloc(control->heat_pages, sizeof *ring->pages);
        ring->page_epochs = calloc(control->heat_pages, sizeof *ring->page_epochs);
    }
    if (!scratch || !ring->pages || !ring->page_epochs) {
        return false;
    }
    gb_ring_open(ring, page, file + control->rings_offset + vcpu * control->ring_stride, scratch, control->chunk_bytes,
                 control->chunks, vcpu, control->window, NULL);
    ring->root = page->told_root;
    gb_gates_load(vcpu, page->told_idt_base, page->told_idt_limit);
    gb_ring_off(ring, true);
    return true;
}

static void open_ring(gb_ring *ring)
{
    uint32_t payload[8];
    gb_ring_off(ring, false);
    put_64(payload, gb_time_ns());
    put_64(payload + 2, ring->root);
    put_64(payload + 4, begun_on(ring->vcpu));
    payload[6] = features;
    payload[7] = control->scope;
    gb_ring_event(ring, GB_EVENT_WINDOW_START, control->window, payload, 8);
    if (!is_root_wanted(ring->root)) {
        event_filter(ring, 0, ring->root);
    }
    /* Only now: here nobody may wait. */
    ring->keep_waiting = control->mode == GB_MODE_LOSSY ? NULL : keep_waiting;
    ring->publishing = on_publishing;
    ring->count = features & GB_FEATURE_VERIFY ? begun_on : NULL;
    gb_ring_off(ring, !is_root_wanted(ring->root));
}

/* All vCPUs stand still. */
void open_all_rings(void)
{
    opened = true;
    deadline_ns = control->limit_ns ? gb_time_ns() + control->limit_ns : 0;
    for (unsigned vcpu = 0; vcpu < control->vcpus; vcpu++) {
        if (vcpu < (unsigned)qemu_plugin_num_vcpus()) {
            qemu_plugin_u64_set(executed, vcpu, 0);
        }
        if (features & GB_FEATURE_BLOCKS) {
            open_ring(&rings[vcpu]);
        }
    }
}

bool arm(void)
{
    if (!is_geometry_sound()) {
        fail("the trace cannot be armed with these sizes; arm again with a ring that fits");
        return false;
    }
    features = control->features;
    stop_reason = GB_STOP_ASKED;
    deadline_ns = 0;
    hits_left = control->trigger_hits;
    opened = trigger_came = false;
    settled = vcpu_page(0)->told_root != 0;
    control->armed_ns = gb_time_ns();
    control->window++;
    control->error[0] = 0;
    forget_values();
    for (unsigned vcpu = 0; features & GB_FEATURE_BLOCKS && vcpu < control->vcpus; vcpu++) {
        if (!prepare_ring(vcpu)) {
            fail("QEMU has no memory for the trace; arm again with smaller chunks");
            return false;
        }
    }
    for (unsigned vcpu = 0; vcpu < (unsigned)qemu_plugin_num_vcpus(); vcpu++) {
        qemu_plugin_u64_set(executed, vcpu, 0);
    }
    if (!hits_left && !control->start_instructions) {
        open_all_rings();
    }
    return true;
}

void close_window(uint32_t reason)
{
    for (unsigned vcpu = 0; opened && features & GB_FEATURE_BLOCKS && vcpu < control->vcpus; vcpu++) {
        uint32_t words[5] = {GB_EVENT_WORD(GB_EVENT_WINDOW_STOP, 4, reason)};
        put_64(words + 1, gb_time_ns());
        put_64(words + 3, begun_on(vcpu));
        rings[vcpu].publishing = NULL;
        rings[vcpu].instructions = begun_on(vcpu);
        gb_ring_close(&rings[vcpu], words, 5);
    }
}
