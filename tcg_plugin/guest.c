#include "guest.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const NAMES[GB_REGISTER_COUNT] = {
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",      "r9",      "r10", "r11",
    "r12", "r13", "r14", "r15", "fs_base", "gs_base", "rip", "cs",  "ss",  "cr0",     "cr3",     "cr4", "efer", "eflags",
    "xmm0", "xmm1", "xmm2",  "xmm3",  "xmm4",  "xmm5",  "xmm6",  "xmm7",
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
};
static struct qemu_plugin_register *handles[GB_REGISTER_COUNT];
static _Thread_local GByteArray *buffer;

static GByteArray *empty_buffer(void)
{
    if (!buffer) {
        buffer = g_byte_array_new();
    }
    return g_byte_array_set_size(buffer, 0);
}

/* Asked of QEMU itself, by the names that it exports; the version says no more than that. */
uint32_t gb_guest_capabilities(void)
{
    static const struct {
        const char *function;
        uint32_t capability;
    } needed[] = {
        {"qemu_plugin_read_register", GB_CAPABILITY_READ_REGISTERS},
        {"qemu_plugin_write_register", GB_CAPABILITY_WRITE_REGISTERS},
        {"qemu_plugin_write_memory_hwaddr", GB_CAPABILITY_WRITE_MEMORY},
        {"qemu_plugin_set_pc", GB_CAPABILITY_SET_PC},
    };
    uint32_t found = 0;
    for (unsigned i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        found |= dlsym(RTLD_DEFAULT, needed[i].function) ? needed[i].capability : 0;
    }
    return found;
}

bool gb_guest_find_registers(void)
{
    GArray *found = qemu_plugin_get_registers();
    if (!found) {
        return false;
    }
    size_t stride = g_array_get_element_size(found);
    for (unsigned i = 0; i < found->len; i++) {
        qemu_plugin_reg_descriptor one;
        memcpy(&one, found->data + i * stride, sizeof one);
        for (unsigned which = 0; which < GB_REGISTER_COUNT; which++) {
            if (strcmp(one.name, NAMES[which]) == 0) {
                handles[which] = one.handle;
            }
        }
    }
    g_array_free(found, 1);
    for (unsigned which = 0; which < GB_REGISTER_COUNT; which++) {
        if (!handles[which]) {
            return false;
        }
    }
    return true;
}

uint64_t gb_guest_register(gb_register which)
{
    GByteArray *bytes = empty_buffer();
    uint64_t value = 0;
    qemu_plugin_read_register(handles[which], bytes);
    memcpy(&value, bytes->data, bytes->len < sizeof value ? bytes->len : sizeof value);
    return value;
}

void gb_guest_set_register(gb_register which, uint64_t value)
{
    GByteArray *bytes = g_byte_array_set_size(empty_buffer(), sizeof value);
    memcpy(bytes->data, &value, sizeof value);
    qemu_plugin_write_register(handles[which], bytes);
}

void gb_guest_vector(gb_register which, uint64_t halves[2])
{
    enum { BYTES = 16 };
    GByteArray *bytes = empty_buffer();
    qemu_plugin_read_register(handles[which], bytes);
    memset(halves, 0, BYTES);
    memcpy(halves, bytes->data, bytes->len < BYTES ? bytes->len : BYTES);
}

void gb_guest_set_vector(gb_register which, const uint64_t halves[2])
{
    enum { BYTES = 16 };
    GByteArray *bytes = g_byte_array_set_size(empty_buffer(), BYTES);
    memcpy(bytes->data, halves, BYTES);
    qemu_plugin_write_register(handles[which], bytes);
}

/* Dirty logs are QEMU's, so it stores a part of the page once more. */
void gb_guest_mark_stored(uint64_t physical, const void *page)
{
    GByteArray *bytes = g_byte_array_set_size(empty_buffer(), sizeof(uint64_t));
    memcpy(bytes->data, page, sizeof(uint64_t));
    qemu_plugin_write_memory_hwaddr(physical, bytes);
}

bool gb_guest_read(uint64_t address, void *to, size_t length)
{
    GByteArray *bytes = empty_buffer();
    if (!qemu_plugin_read_memory_vaddr(address, bytes, length) || bytes->len < length) {
        return false;
    }
    memcpy(to, bytes->data, length);
    return true;
}

/* The one mapping of the RAM file in this process; QEMU maps it once and for good. */
static uintptr_t ram_base, ram_end;

static void find_ram(uint64_t inode)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end, offset, found;
        if (sscanf(line, "%lx-%lx %*s %lx %*x:%*x %lu", &start, &end, &offset, &found) == 4 && found == inode) {
            ram_base = ram_base ? ram_base : start - offset;
            __atomic_store_n(&ram_end, end, __ATOMIC_RELEASE);
        }
    }
    if (maps) {
        fclose(maps);
    }
}

uint64_t gb_guest_ram_offset(const void *host, uint64_t inode)
{
    uintptr_t place = (uintptr_t)host;
    if (!host) {
        return GB_NO_OFFSET;
    }
    if (!__atomic_load_n(&ram_end, __ATOMIC_ACQUIRE)) {
        find_ram(inode);
    }
    return place >= ram_base && place < ram_end ? place - ram_base : GB_NO_OFFSET;
}

uint8_t *gb_guest_ram(uint64_t offset, uint64_t inode)
{
    if (!__atomic_load_n(&ram_end, __ATOMIC_ACQUIRE)) {
        find_ram(inode);
    }
    return ram_base && offset < ram_end - ram_base ? (uint8_t *)ram_base + offset : NULL;
}

uint8_t gb_guest_mode(void)
{
    enum { PROTECTION = 1, LONG_MODE_ACTIVE = 1 << 10, LINUX_USER32_CS = 0x23 };
    if (!(gb_guest_register(GB_CR0) & PROTECTION)) {
        return 16;
    }
    if (!(gb_guest_register(GB_EFER) & LONG_MODE_ACTIVE)) {
        return 32;
    }
    /* Compatibility mode is a bit of the descriptor, which no register shows; Linux has one selector for it. */
    return (gb_guest_register(GB_CS) & 0xffff) == LINUX_USER32_CS ? 32 : 64;
}

/* --- gates ------------------------------------------------------------------------------------------------ */

enum { VECTORS = 256, DESCRIPTOR_BYTES = 16 };
static struct {
    uint64_t base, limit;
} tables[GB_MAX_VCPUS];

void gb_gates_load(unsigned vcpu, uint64_t base, uint64_t limit)
{
    tables[vcpu].base = base;
    tables[vcpu].limit = limit;
}

static uint64_t gate_target(const uint8_t *gate, uint8_t mode)
{
    uint16_t low, selector, middle;
    uint32_t high = 0;
    memcpy(&low, gate, 2);
    memcpy(&selector, gate + 2, 2);
    if (mode == 16) {
        return (uint64_t)selector * 16 + low;
    }
    if (!(gate[5] & 0x80)) {
        return UINT64_MAX; /* not present */
    }
    memcpy(&middle, gate + 6, 2);
    if (mode == 64) {
        memcpy(&high, gate + 8, 4);
    }
    return (uint64_t)high << 32 | (uint32_t)middle << 16 | low;
}

static int find_in_table(uint64_t base, uint64_t limit, uint64_t address, uint8_t mode)
{
    uint8_t gates[VECTORS * DESCRIPTOR_BYTES];
    unsigned size = mode == 16 ? 4 : mode == 32 ? 8 : 16;
    uint64_t length = limit >= VECTORS * size ? VECTORS * size : (limit + 1) / size * size;
    if (!length || !gb_guest_read(base, gates, length)) {
        return -1;
    }
    for (unsigned vector = 0; vector * size < length; vector++) {
        if (gate_target(gates + vector * size, mode) == address) {
            return (int)vector;
        }
    }
    return -1;
}

int gb_gates_find(unsigned vcpus, uint64_t address, uint8_t mode)
{
    int vector = -1;
    for (unsigned vcpu = 0; vcpu < vcpus && vector < 0; vcpu++) {
        /* Kernels give all vCPUs the same table. */
        if (vcpu == 0 || tables[vcpu].base != tables[vcpu - 1].base) {
            vector = find_in_table(tables[vcpu].base, tables[vcpu].limit, address, mode);
        }
    }
    return vector;
}

static bool has_error_code(int vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30;
}

bool gb_guest_frame(int vector, uint8_t mode, gb_frame *frame)
{
    uint8_t pushed[16] = {0};
    unsigned size = mode / 8;
    unsigned skip = mode != 16 && has_error_code(vector) ? size : 0;
    uint64_t top = gb_guest_register(GB_RSP);
    if (mode == 16) {
        top = (top & 0xffff) + (gb_guest_register(GB_SS) & 0xffff) * 16;
    }
    frame->from_pc = frame->error = 0;
    if (!gb_guest_read(top, pushed, skip + size + (mode == 16 ? 2 : 0))) {
        return false;
    }
    memcpy(&frame->error, pushed, skip);
    memcpy(&frame->from_pc, pushed + skip, size);
    if (mode == 16) {
        uint16_t segment;
        memcpy(&segment, pushed + 2, 2);
        frame->from_pc += (uint64_t)segment * 16;
    }
    return true;
}
