/* See window.h. */
#include "window.h"

#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "state.h"

enum { STOP_WORDS = 5 };

static uint64_t deadline_ns;
static struct {
    const uint32_t *cursor; /* where the ring stood: the event is due while it stands there */
    uint64_t sequence;
    uint32_t words[GB_EXCEPTION_WORDS];
} noted[GB_MAX_VCPUS];

static void note_progress(gb_ring *ring)
{
    ring->instructions = begun_on(ring->vcpu);
    if (control->state == GB_STATE_WAITING) {
        set_state(GB_STATE_ARMED);
    }
}

void close_if_late(void)
{
    if (armed && deadline_ns && gb_time_ns() >= deadline_ns) {
        close_from_vcpu(GB_STOP_LIMIT, NULL);
    }
}

static void on_publishing(gb_ring *ring)
{
    note_progress(ring);
    close_if_late();
    if (is_command_new() && !closing) {
        close_from_vcpu(GB_STOP_ASKED, NULL);
    }
}

void note_exception(unsigned vcpu)
{
    const gb_ring *ring = &rings[vcpu];
    if (!opened || !(features & GB_FEATURE_EVENTS) || ring->off || ring->lost_words ||
        (ring->state != GB_OWNED && ring->state != GB_PARKED)) {
        return;
    }
    uint8_t mode = gb_guest_mode();
    int vector = gb_gates_find(control->vcpus, gb_guest_register(GB_RIP), mode);
    noted[vcpu].cursor = vector >= 0 && put_exception(noted[vcpu].words, vector, mode) ? ring->cursor : NULL;
    noted[vcpu].sequence = ring->sequence;
}

void flush_idle(unsigned vcpu)
{
    gb_ring *ring = &rings[vcpu];
    if (ring->publishing) {
        ring->publishing = note_progress;
    }
    if (features & GB_FEATURE_EVENTS && ring->state == GB_OWNED) {
        event_64(ring, GB_EVENT_IDLE, 0, gb_time_ns());
    }
    gb_ring_flush(ring);
    if (ring->publishing) {
        ring->publishing = on_publishing;
    }
    note_exception(vcpu);
}

static bool is_geometry_sound(void)
{
    return control->chunk_bytes >= GB_MIN_CHUNK_BYTES && control->chunk_bytes % 64 == 0 &&
           control->chunks >= GB_MIN_CHUNKS &&
           (uint64_t)control->chunk_bytes * control->chunks <= control->ring_stride &&
           control->range_count <= GB_MAX_RANGES && control->root_count <= GB_MAX_ROOTS &&
           control->point_count <= GB_MAX_POINTS;
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
    ring->root = page->initial_cr3;
    gb_gates_load(vcpu, page->initial_idt_base, page->initial_idt_limit);
    gb_ring_set_off(ring, true);
    return true;
}

static void open_ring(gb_ring *ring)
{
    uint32_t payload[8];
    gb_ring_set_off(ring, false);
    put_64(payload, gb_time_ns());
    put_64(payload + 2, ring->root);
    put_64(payload + 4, begun_on(ring->vcpu));
    payload[6] = features;
    payload[7] = control->scope;
    gb_ring_event(ring, GB_EVENT_WINDOW_START, control->window, payload, 8);
    if (!is_root_wanted(ring->root)) {
        event_filter(ring, 0, ring->root);
    }
    /* Only now: no vCPU may wait while all stand still. */
    ring->keep_waiting = control->mode == GB_MODE_LOSSY ? NULL : keep_waiting;
    ring->publishing = on_publishing;
    ring->count = features & GB_FEATURE_VERIFY ? begun_on : NULL;
    gb_ring_set_off(ring, !is_root_wanted(ring->root));
}

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
        set_error("the trace cannot be armed with these sizes; arm again with a ring that fits");
        return false;
    }
    features = control->features;
    stop_reason = GB_STOP_ASKED;
    deadline_ns = 0;
    hits_left = control->trigger_hits;
    opened = triggered = false;
    identity_map_left = vcpu_page(0)->initial_cr3 != 0;
    control->armed_ns = gb_time_ns();
    control->window++;
    control->error[0] = 0;
    keep_roots();
    for (unsigned vcpu = 0; features & GB_FEATURE_BLOCKS && vcpu < control->vcpus; vcpu++) {
        if (!prepare_ring(vcpu)) {
            set_error("QEMU has no memory for the trace; arm again with smaller chunks");
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
        gb_ring *ring = &rings[vcpu];
        uint32_t words[GB_EXCEPTION_WORDS + STOP_WORDS], *stop = words;
        if (noted[vcpu].cursor == ring->cursor && noted[vcpu].sequence == ring->sequence) {
            memcpy(words, noted[vcpu].words, sizeof noted[vcpu].words);
            stop += GB_EXCEPTION_WORDS;
        }
        noted[vcpu].cursor = NULL;
        stop[0] = GB_EVENT_WORD(GB_EVENT_WINDOW_STOP, STOP_WORDS - 1, reason);
        put_64(stop + 1, gb_time_ns());
        put_64(stop + 3, begun_on(vcpu));
        ring->publishing = NULL;
        ring->instructions = begun_on(vcpu);
        gb_ring_close(ring, words, (unsigned)(stop - words) + STOP_WORDS);
    }
}
