/* See learned.h. */
#include "learned.h"

#include <dlfcn.h>
#include <string.h>

#include "direction.h"
#include "entry.h"
#include "returns.h"
#include "shadow.h"

enum {
    FIRST_GATE = 64,     /* passes before a loop is looked at */
    LAST_GATE = 1 << 14, /* the most, where looking has not paid */
    NEXT_GATE = 16,      /* the most, where it has */
    REST_GATE = 1 << 19, /* where it is only compared: a comparison takes as long as some thousand short rounds */
    LOOK_NS = 1000,      /* QEMU may do so much until it is looked at again: about what a look costs */
    PROBATION = 16,      /* comparisons before a kernel runs in place */
    LEAST_ROUNDS = 64,   /* of a slice, where it is not too slow */
    MOST_ROUNDS = 1 << 16,
    SLICE_NS = 200000,
};
#define FULL (UINT64_C(1) << 32) /* of the counter: the gate is reached */

typedef struct {
    const gb_learned *loop;
    gb_learned_row *row;
    qemu_plugin_u64 passes;
    const uint8_t *head; /* code from the head on */
    uint64_t head_bytes;
    bool is_run_into; /* an instruction of the loop stands in front of the head, and may go on to it without a jump */
    uint64_t gate, most;
    uint64_t waits, since; /* passes until it is looked at again, and when that began */
    uint64_t root;         /* of the program whose rounds were measured: another's may be longer, as of a loop that several hashes share */
    bool off;
    gb_shadow shadow;
    uint64_t shadow_ns; /* that QEMU took for its rounds so far */
} learned;

bool has_learned;
static bool has_several; /* vCPUs, of which another may translate what a kernel stores */
static bool has_forward; /* some loop wants to know of the direction flag */
static learned loops[GB_MAX_LEARNED];
static unsigned count;
static uint64_t comparing; /* loops that are being compared, a bit each */
_Static_assert(GB_MAX_LEARNED <= 64, "a loop is a bit");
static struct qemu_plugin_scoreboard *counters;

static void wait_for(learned *one, unsigned vcpu, uint64_t passes)
{
    one->waits = passes;
    one->since = gb_time_ns();
    qemu_plugin_u64_set(one->passes, vcpu, FULL - passes);
}

static void note_time(learned *one, uint64_t ns, uint64_t rounds)
{
    uint64_t each = ns * 1000 / rounds;
    one->row->round_ps = one->row->round_ps && one->row->round_ps < each ? one->row->round_ps : each;
}

/* How long QEMU takes for a round: no longer than the passes since the last look took. In shadow it is looked at after each. */
static void measure_rounds(learned *one, uint64_t now, uint64_t passes)
{
    enum { ENOUGH = 8 };
    if (one->shadow.left) {
        one->shadow_ns += now - one->since;
    } else if (passes >= ENOUGH && now > one->since) {
        note_time(one, now - one->since, passes);
    }
}

/* Passes until the next look at a loop that it has paid to look at: few where rounds are long. */
static uint64_t next_gate(const learned *one)
{
    uint64_t passes = one->row->round_ps ? LOOK_NS * UINT64_C(1000) / one->row->round_ps : NEXT_GATE;
    return passes < 1 ? 1 : passes > NEXT_GATE ? NEXT_GATE : passes;
}

static void wait_longer(learned *one, unsigned vcpu)
{
    one->gate = one->gate * 2 > LAST_GATE ? LAST_GATE : one->gate * 2;
    wait_for(one, vcpu, one->gate);
}

const char *learned_load(const char *path)
{
    if (count == GB_MAX_LEARNED) {
        return "there are too many loops";
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const gb_learned *loop = library ? dlsym(library, "gb_learned_loop") : NULL;
    if (!loop || loop->version != GB_LEARNED_VERSION) {
        return "it is no learned loop of this version";
    }
    if (!counters) {
        counters = qemu_plugin_scoreboard_new(GB_MAX_LEARNED * sizeof(uint64_t));
        returns_begin();
    }
    learned *one = &loops[count];
    one->loop = loop;
    one->row = (gb_learned_row *)(file + control->learned_offset) + count;
    one->passes = (qemu_plugin_u64){counters, count * sizeof(uint64_t)};
    one->gate = FIRST_GATE;
    one->most = LEAST_ROUNDS;
    one->shadow.most = SHADOW_ROUNDS;
    for (uint64_t i = 0; i < loop->codes; i++) {
        const gb_code *code = &loop->code[i];
        if (code->distance <= 0 && code->distance + (int64_t)code->bytes > 0) {
            one->head = code->code - code->distance;
            one->head_bytes = (uint64_t)((int64_t)code->bytes + code->distance);
            one->is_run_into = code->distance < 0;
        }
    }
    memcpy(one->row->name, loop->name, sizeof one->row->name);
    one->row->head = loop->head;
    one->row->proved = loop->proved;
    control->learned_count = ++count;
    has_learned = true;
    has_forward |= loop->forward;
    return one->head ? NULL : "it has no head";
}

void learned_begin(unsigned vcpu)
{
    has_several |= vcpu > 0;
    for (unsigned i = 0; vcpu == 0 && i < count; i++) {
        wait_for(&loops[i], vcpu, FIRST_GATE);
    }
}

static void abandon_all(void)
{
    for (; comparing; comparing &= comparing - 1) {
        learned *one = &loops[__builtin_ctzll(comparing)];
        gb_shadow_abandon(&one->shadow, one->row);
    }
}

void learned_resume(unsigned vcpu)
{
    direction_forget(vcpu);
    abandon_all();
}

/* Whether rounds in place may pass the head of a loop that is being compared, which would not be counted: QEMU has to do these. */
static bool passes_compared(const learned *one, uint64_t head)
{
    for (uint64_t left = comparing; left; left &= left - 1) {
        learned *other = &loops[__builtin_ctzll(left)];
        if (other->shadow.returns != returns_count()) {
            gb_shadow_abandon(&other->shadow, other->row);
            comparing &= ~(left & -left);
        } else if (gb_entry_has_code(one->loop, (int64_t)(other->shadow.head - head))) {
            return true;
        }
    }
    return false;
}

static void run_in_place(learned *one, unsigned vcpu, const gb_paging *paging, uint64_t head,
                         const uint64_t before[GB_LEARNED_REGISTERS], uint64_t start)
{
    static gb_store log[SHADOW_STORES];
    static gb_slice slice;
    uint64_t after[GB_LEARNED_REGISTERS];
    const gb_learned *loop = one->loop;
    memcpy(after, before, sizeof after);
    gb_slice_begin(&slice, paging, log, false);
    uint64_t rounds = loop->run(after, &slice.pages, head, one->most);
    if (rounds) {
        gb_entry_write(loop->writes, before, after);
    }
    gb_slice_end(&slice);
    /* Where inner rounds are used up the slice is full as well, but of the round that was begun. */
    bool is_full = rounds == one->most || (rounds && slice.pages.reason == GB_REASON_LONG_ROUND);
    bool is_left = !is_full && slice.pages.reason == GB_REASON_LEFT;
    one->row->slices += rounds > 0;
    one->row->rounds += rounds;
    one->row->reasons[slice.pages.reason] += !is_full;
    uint64_t ns = gb_time_ns() - start;
    one->row->ns += ns;
    if (rounds == one->most && ns < SLICE_NS / 2 && one->most < MOST_ROUNDS) {
        one->most *= 2;
    } else if (ns > SLICE_NS && one->most > 1) {
        one->most /= 2;
    }
    if (ns * 1000 > rounds * one->row->round_ps) {
        one->row->reasons[GB_REASON_SLOW] += rounds > 0;
        wait_longer(one, vcpu);
        return;
    }
    one->gate = next_gate(one);
    wait_for(one, vcpu, is_left ? one->gate : 1);
}

/* Whether it was compared often enough, and now is again from time to time, as nobody has proved it. */
static bool stays_in_shadow(const learned *one, uint32_t wanted)
{
    return wanted == GB_LEARNED_IN_PLACE && !one->loop->proved && one->row->compared >= PROBATION;
}

static void look(learned *one, unsigned vcpu)
{
    uint64_t head = gb_guest_register(GB_RIP), registers[GB_LEARNED_REGISTERS];
    uint32_t wanted = __atomic_load_n(&control->learned_wanted, __ATOMIC_RELAXED);
    uint64_t start = gb_time_ns(), passes = qemu_plugin_u64_get(one->passes, vcpu) + one->waits - FULL;
    gb_paging paging;
    measure_rounds(one, start, passes);
    one->row->visits++;
    if (one->off || has_several || wanted == GB_LEARNED_OFF) {
        one->shadow.left = 0;
        wait_for(one, vcpu, LAST_GATE);
        return;
    }
    uint32_t objection = gb_entry_objection(&paging, one->loop, head, vcpu);
    if (objection != GB_LEARNED_REASONS) {
        one->row->reasons[objection]++;
        gb_shadow_abandon(&one->shadow, one->row);
        wait_longer(one, vcpu);
        return;
    }
    if (paging.root != one->root && !one->shadow.left) {
        one->root = paging.root;
        one->row->round_ps = 0;
        one->gate = FIRST_GATE;
        wait_for(one, vcpu, FIRST_GATE);
        return;
    }
    bool is_in_shadow = wanted == GB_LEARNED_SHADOW || one->row->compared < PROBATION || stays_in_shadow(one, wanted);
    if (!is_in_shadow && !one->shadow.left && passes_compared(one, head)) {
        one->row->reasons[GB_REASON_COMPARED]++;
        wait_for(one, vcpu, 1);
        return;
    }
    gb_entry_read(one->loop->reads | one->loop->writes, registers);
    if (one->shadow.left) {
        uint64_t compared = one->row->compared;
        one->off = !gb_shadow_pass(&one->shadow, one->row, one->loop, &paging, registers, passes);
        if (one->row->compared > compared) {
            note_time(one, one->shadow_ns, one->shadow.rounds);
        }
        bool is_resting = !one->shadow.left && stays_in_shadow(one, wanted);
        one->row->reasons[GB_REASON_UNPROVED] += is_resting;
        wait_for(one, vcpu, one->shadow.left ? 1 : is_resting ? REST_GATE : next_gate(one));
        return;
    }
    if (is_in_shadow) {
        if (gb_shadow_begin(&one->shadow, one->row, one->loop, &paging, registers, head)) {
            one->shadow_ns = 0;
            wait_for(one, vcpu, 1);
        } else {
            wait_longer(one, vcpu);
        }
        return;
    }
    run_in_place(one, vcpu, &paging, head, registers, start);
}

static void on_head(unsigned vcpu, void *which)
{
    uint64_t bit = UINT64_C(1) << (uintptr_t)which;
    look(&loops[(uintptr_t)which], vcpu);
    comparing = loops[(uintptr_t)which].shadow.left ? comparing | bit : comparing & ~bit;
}

/* Whether the head's instructions begin with the block's instruction `first`, as far as the block goes. */
static bool has_head(const struct qemu_plugin_tb *tb, size_t first, const learned *one)
{
    uint8_t bytes[15];
    uint64_t at = 0;
    for (size_t i = first, n = qemu_plugin_tb_n_insns(tb); i < n && at < one->head_bytes; i++) {
        size_t length = qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i), bytes, sizeof bytes);
        if (length > one->head_bytes - at || memcmp(bytes, one->head + at, length) != 0) {
            return false;
        }
        at += length;
    }
    return true;
}

/*
 * A head that is run into may lie inside of a block, where passes are counted, too. Which instruction that is cannot be told from a
 * part of the loop alone, so such a loop is known only where it lies in its page as it did when it was learned.
 */
static bool is_place(const learned *one, uint64_t address)
{
    return !one->is_run_into || ((address ^ one->loop->head) & (GB_PAGE_BYTES - 1)) == 0;
}

/* Nobody looks inside of a block, but it is a pass. */
static void count_inside(const struct qemu_plugin_tb *tb, const learned *one)
{
    uint64_t at = qemu_plugin_tb_vaddr(tb);
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (i > 0 && one->is_run_into && is_place(one, at) && has_head(tb, i, one)) {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, one->passes, 1);
        }
        at += qemu_plugin_insn_size(insn);
    }
}

void learned_translate(struct qemu_plugin_tb *tb, bool hooked)
{
    gb_paging_note_code(tb);
    returns_translate(tb);
    if (!hooked) {
        abandon_all(); /* passes are not counted here */
    }
    if (has_forward) {
        direction_translate(tb);
    }
    for (unsigned i = 0; hooked && i < count; i++) {
        learned *one = &loops[i];
        count_inside(tb, one);
        if (is_place(one, qemu_plugin_tb_vaddr(tb)) && has_head(tb, 0, one)) {
            qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, one->passes, 1);
            qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_head, QEMU_PLUGIN_CB_RW_REGS, QEMU_PLUGIN_COND_GE, one->passes,
                                                      FULL, (void *)(uintptr_t)i);
        }
    }
}
