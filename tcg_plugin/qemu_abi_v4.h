/*
 * The slice of QEMU's plugin interface that the tracer uses, as versions 4 (QEMU 9.2, 10.0), 5 (10.1, 10.2) and
 * 6 (11.0) have it. No QEMU or glib header is needed; tests/test_build.py compares the names with what QEMU exports,
 * and every declaration with QEMU's own header where one is given.
 *
 * 5 only adds functions. 6 changes what reading a register returns (int to bool), so that value is never looked
 * at: the length of the array says whether it worked. 7 changes the signatures of callbacks: qemu_abi_v7.h, which
 * includes this file with GB_PLUGIN_API defined as 7. A plugin is compiled for each, from the same sources.
 */
#ifndef GB_QEMU_ABI_V4_H
#define GB_QEMU_ABI_V4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef GB_PLUGIN_API
#define GB_PLUGIN_API 4
#endif


#define GB_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;

typedef struct {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
} qemu_info_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
struct qemu_plugin_register;
struct qemu_plugin_hwaddr;

typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_CB_RW_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cond { QEMU_PLUGIN_COND_GE = 7 };

typedef struct {
    int type; /* log2 of the size */
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct {
            uint64_t low, high;
        } u128;
    } data;
} qemu_plugin_mem_value;

/* Begins each element of an array; in some releases more follows, so the array is asked for the size of one. */
typedef struct {
    struct qemu_plugin_register *handle;
    const char *name, *feature;
} qemu_plugin_reg_descriptor;

/* glib's two arrays, as far as their users may see them. */
typedef struct {
    char *data;
    unsigned len;
} GArray;
typedef struct {
    uint8_t *data;
    unsigned len;
} GByteArray;

GByteArray *g_byte_array_new(void);
GByteArray *g_byte_array_set_size(GByteArray *array, unsigned length);
unsigned g_array_get_element_size(GArray *array);
char *g_array_free(GArray *array, int free_segment);

typedef void qemu_plugin_vcpu_udata_cb_t(unsigned vcpu, void *userdata);
typedef void qemu_plugin_vcpu_mem_cb_t(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata);

#if GB_PLUGIN_API >= 7
#include "qemu_abi_v7.h"
#else

enum { GB_API_BUILT_FOR = 4, GB_API_NEWEST = 6 };
#define GB_API_RELEASES "9.2 to 11.0"

typedef void qemu_plugin_simple_cb_t(qemu_plugin_id_t id);
typedef void qemu_plugin_udata_cb_t(qemu_plugin_id_t id, void *userdata);
typedef void qemu_plugin_vcpu_simple_cb_t(qemu_plugin_id_t id, unsigned vcpu);
typedef void qemu_plugin_vcpu_tb_trans_cb_t(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

/* Parameters of callbacks, which get an id from these versions and userdata from 7; neither is looked at. */
#define GB_OF_RESET __attribute__((unused)) qemu_plugin_id_t id
#define GB_OF_EXIT GB_OF_RESET, __attribute__((unused)) void *userdata
#define GB_OF_VCPU GB_OF_RESET, __attribute__((unused)) unsigned vcpu
#define GB_OF_TRANSLATION GB_OF_RESET, struct qemu_plugin_tb *tb

void qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_simple_cb_t *cb);
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_simple_cb_t *cb);
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_simple_cb_t *cb);
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_simple_cb_t *cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t *cb);

#endif

int qemu_plugin_num_vcpus(void);

void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_plugin_vcpu_udata_cb_t *cb,
                                          enum qemu_plugin_cb_flags flags, void *userdata);
void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb *tb, qemu_plugin_vcpu_udata_cb_t *cb,
                                               enum qemu_plugin_cb_flags flags, enum qemu_plugin_cond cond,
                                               qemu_plugin_u64 entry, uint64_t imm, void *userdata);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, enum qemu_plugin_op op,
                                                       qemu_plugin_u64 entry, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t *cb,
                                            enum qemu_plugin_cb_flags flags, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn, enum qemu_plugin_op op,
                                                         qemu_plugin_u64 entry, uint64_t imm);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_mem_cb_t *cb,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw, void *userdata);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t length);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);

unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);

GArray *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *handle, GByteArray *buffer);
bool qemu_plugin_read_memory_vaddr(uint64_t address, GByteArray *data, size_t length);

/* Since 5: NULL where QEMU is older. What they return differs between versions, so it is not looked at. */
__attribute__((weak)) int qemu_plugin_write_register(struct qemu_plugin_register *handle, GByteArray *buffer);
__attribute__((weak)) int qemu_plugin_write_memory_hwaddr(uint64_t address, GByteArray *data);

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned vcpu, uint64_t value);
uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned vcpu);

#endif
