/* What a program on lanes can ask for; see src/lib.rs for Rust.
 *
 * gb_lane, gb_lanes, gb_sin and gb_cos are instructions of the device; everything else is served by the host, for all lanes that wait
 * at once. Copies give the bytes that were there, -1 where there is no such array or place. Atomics give the value before them.
 * With GLASSBOX_RECORDS defined, GPU_PRINT and GPU_DBG_... make records; without it they are no code at all.
 */
#ifndef GLASSBOX_H
#define GLASSBOX_H

#include <stdint.h>

#define GB_IMPORT(name) __attribute__((import_module("glassbox"), import_name(name)))

GB_IMPORT("lane") uint32_t gb_lane(void);
GB_IMPORT("lanes") uint32_t gb_lanes(void);
GB_IMPORT("sin") float gb_sin(float radians);
GB_IMPORT("cos") float gb_cos(float radians);
GB_IMPORT("barrier") void gb_barrier(void);
GB_IMPORT("time") int64_t gb_time(void); /* nanoseconds */
GB_IMPORT("size") int32_t gb_size(uint32_t array);
GB_IMPORT("read") int32_t gb_read(uint32_t array, uint32_t offset, void *to, uint32_t bytes);
GB_IMPORT("write") int32_t gb_write(uint32_t array, uint32_t offset, const void *from, uint32_t bytes);
GB_IMPORT("compare_exchange") int64_t gb_compare_exchange(uint32_t place, int64_t wanted, int64_t value);
GB_IMPORT("set_pixel") void gb_set_pixel(int32_t x, int32_t y, uint32_t rgba);

enum gb_change { GB_ADD, GB_MIN, GB_MAX, GB_AND, GB_OR, GB_XOR, GB_EXCHANGE };
GB_IMPORT("atomic") int64_t gb_atomic(uint32_t change, uint32_t place, int64_t value);

static inline float gb_sqrt(float x) { return __builtin_sqrtf(x); } /* correctly rounded */

#ifdef GLASSBOX_RECORDS
GB_IMPORT("record") void gb_record(uint32_t kind, const char *text, uint32_t bytes, int64_t bits);
#define GPU_PRINT(text) gb_record(0, (text), (uint32_t)__builtin_strlen(text), 0)
#define GPU_DBG_INT(value) gb_record(1, #value, sizeof(#value) - 1, (int64_t)(value))
#define GPU_DBG_UINT(value) gb_record(2, #value, sizeof(#value) - 1, (int64_t)(uint64_t)(value))
#define GPU_DBG_FLOAT(value) gb_record(3, #value, sizeof(#value) - 1, ((union { double f; int64_t i; }){.f = (value)}).i)
#else
#define GPU_PRINT(text) ((void)0)
#define GPU_DBG_INT(value) ((void)0)
#define GPU_DBG_UINT(value) ((void)0)
#define GPU_DBG_FLOAT(value) ((void)0)
#endif
#endif
