/*
 * The plugin that QEMU loads with every machine: disarmed it hooks only a vCPU's idle and resume.
 *
 * Arming and disarming go through the shared file (trace_abi.h). The daemon writes what it wants, raises
 * `generation`, and stops and continues the machine, so that every vCPU resumes; the first to resume sees the new
 * generation and asks QEMU for a reset, which drops every hook, flushes all translated code and calls on_reset
 * while all vCPUs stand still. Code is then translated again, with the hooks that are wanted now.
 *
 * An executed block costs one call that stores its id (on_block). Everything else hangs on rare instructions and
 * is decided when code is translated.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heat.h"
#include "learned.h"
#include "locked.h"
#include "loops.h"
#include "memory.h"
#include "state.h"
#include "translate.h"
#include "window.h"

GB_EXPORT int qemu_plugin_version = GB_API_BUILT_FOR;
GB_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

/*
 * A reset waits for vCPUs that execute code, and a vCPU that becomes idle has left its code: both may come at once. Who
 * holds this is alone with all rings. Taken by a reset under QEMU's lock of plugins, so nothing may ask for one under it.
 */
static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;

static void on_idle(GB_OF_VCPU)
{
    /* A reset under way publishes what there is, or has just opened the window. */
    if (pthread_mutex_trylock(&alone) == 0) {
        if (armed && vcpu < control->vcpus && features & GB_FEATURE_BLOCKS) {
            flush_idle(vcpu);
        }
        pthread_mutex_unlock(&alone);
    }
}

static bool is_heat_to_change(void)
{
    bool of_window = armed && features & GB_FEATURE_HEAT;
    return (__atomic_load_n(&control->heat_wanted, __ATOMIC_ACQUIRE) || of_window) != heat_on;
}

static void on_resume(GB_OF_VCPU)
{
    learned_resume(vcpu);
    close_if_late();
    if (is_heat_to_change()) {
        request_reset();
    } else if (heat_on) {
        on_heat_remapped(vcpu, NULL);
    }
    if (is_command_new()) {
        request_reset();
    }
}

static void find_registers_once(void)
{
    static bool found;
    if (!found && !(found = gb_guest_find_registers())) {
        set_error("QEMU does not name the registers that the trace needs; use another release of QEMU");
    }
}

static void on_vcpu(GB_OF_VCPU)
{
    find_registers_once();
    learned_begin(vcpu);
}

static void on_exit_of_qemu(GB_OF_EXIT)
{
    pthread_mutex_lock(&alone);
    if (armed) {
        close_window(GB_STOP_EXIT);
        loops_end();
    }
    armed = false;
    pthread_mutex_unlock(&alone);
    set_state(GB_STATE_ABSENT);
}

/* All vCPUs stand still, or there are none yet; every hook has been dropped. */
static void register_callbacks(void)
{
    if (is_heat_to_change()) {
        heat_on = !heat_on;
        heat_begin();
    }
    __atomic_store_n(&control->heat_on, heat_on, __ATOMIC_RELEASE);
    qemu_plugin_register_vcpu_init_cb(plugin_id, on_vcpu);
    qemu_plugin_register_vcpu_idle_cb(plugin_id, on_idle);
    qemu_plugin_register_vcpu_resume_cb(plugin_id, on_resume);
    qemu_plugin_register_atexit_cb(plugin_id, on_exit_of_qemu, NULL);
    if (armed || heat_on || has_learned) {
        qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
    }
}

static void apply_command(void)
{
    uint32_t now = __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE);
    bool commanded = now != generation, broken = control->error[0] != 0;
    armed = false;
    if (commanded) {
        generation = now;
        armed = control->command == GB_COMMAND_ARM && arm();
        if (armed) {
            forget_values();
            loops_begin();
        }
        broken = control->command == GB_COMMAND_ARM && !armed;
    }
    closing = false;
    register_callbacks();
    set_state(armed ? GB_STATE_ARMED : broken ? GB_STATE_FAILED : GB_STATE_DISARMED);
    __atomic_store_n(&control->acknowledged, generation, __ATOMIC_RELEASE);
}

static void reset_alone(void)
{
    find_registers_once();
    if (!is_command_new() && !closing) {
        /* The trigger has fired, or heat goes on or off; or two vCPUs asked one after the other, and nothing is left to do. */
        if (armed && !opened && triggered) {
            open_all_rings();
        }
        register_callbacks();
        return;
    }
    if (armed) {
        if (closing && control->vcpus == 1) {
            /* Not stopped from outside, so it was not idle; of several vCPUs nobody can ask here where the others stand. */
            note_exception(0);
        }
        close_window(stop_reason);
        loops_end();
    }
    apply_command();
}

static void on_reset(GB_OF_RESET)
{
    pthread_mutex_lock(&alone);
    reset_alone();
    pthread_mutex_unlock(&alone);
}

/* Load what `learned=` names, for a machine that can; false, and said why, where a loop that was asked for cannot be had. */
static bool load_learned(const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "learned=", 8) == 0) {
            const char *error = NULL;
            if (!(control->capabilities & GB_CAPABILITY_WRITE_REGISTERS)) {
                error = "plugins of this QEMU cannot write registers; use QEMU 10.1 or later";
            } else if (info->system.max_vcpus != 1) {
                error = "only a machine of one vCPU has learned loops";
            } else {
                error = learned_load(argv[i] + 8);
            }
            if (error) {
                fprintf(stderr, "glassbox trace: learned loop %s: %s\n", argv[i] + 8, error);
                return false;
            }
        }
    }
    return true;
}

/* Map the shared file at `path`; NULL if it is not one of ours. */
static uint8_t *map_file(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    uint8_t *place = NULL;
    if (fstat(descriptor, &status) == 0 && (uint64_t)status.st_size >= GB_PAGE_BYTES) {
        place = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        place = place == MAP_FAILED ? NULL : place;
    }
    close(descriptor);
    const gb_control *page = (const gb_control *)place;
    if (page && (memcmp(page->magic, GB_TRACE_MAGIC, sizeof page->magic) != 0 || page->version != GB_TRACE_VERSION ||
                 page->file_bytes != (uint64_t)status.st_size)) {
        fprintf(stderr, "glassbox trace: %s has another layout; build the plugin again\n", path);
        return NULL;
    }
    return place;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "control=", 8) == 0) {
            path = argv[i] + 8;
        }
    }
    if (info->version.cur < GB_API_BUILT_FOR || info->version.cur > GB_API_NEWEST) {
        fprintf(stderr, "glassbox trace: this QEMU has plugin API %d, this plugin is for %d to %d; use QEMU " GB_API_RELEASES
                "\n",
                info->version.cur, GB_API_BUILT_FOR, GB_API_NEWEST);
        return -1;
    }
    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0) {
        fprintf(stderr, "glassbox trace: %s is not an x86-64 machine; use qemu-system-x86_64\n", info->target_name);
        return -1;
    }
    if (!path || !(file = map_file(path))) {
        fprintf(stderr, "glassbox trace: there is no shared file %s; give control=PATH\n", path ? path : "");
        return -1;
    }
    plugin_id = id;
    reset_callback = on_reset;
    control = (gb_control *)file;
    control->capabilities = gb_guest_capabilities();
    if (control->vcpus < (unsigned)info->system.max_vcpus || control->vcpus > GB_MAX_VCPUS) {
        /* The machine is worth more than its trace: it runs, without a hook. */
        snprintf(control->error, sizeof control->error,
                 "this machine may get %d vCPUs and its trace has room for %u, at most %d; start it with fewer",
                 info->system.max_vcpus, control->vcpus, GB_MAX_VCPUS);
        return 0;
    }
    find_memory_bits();
    find_own_code();
    loops_prepare();
    begun.score = qemu_plugin_scoreboard_new(2 * sizeof(uint64_t));
    executed = (qemu_plugin_u64){begun.score, sizeof(uint64_t)};
    control->plugin_api = (uint32_t)info->version.cur;
    control->plugin_pid = (uint32_t)getpid();
    if (!load_learned(info, argc, argv)) {
        return -1;
    }
    apply_command();
    return 0;
}
