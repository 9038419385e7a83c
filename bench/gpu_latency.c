/* From inside a guest: the time of a request that does nothing, and from a submission of an empty kernel to its result, COUNT times each.
   Prints a line for each: microseconds of the request, microseconds of submission and result. */
#include "glassbox_gpu.h"
#include "system.h"

enum { COUNT = 200, WARM = 20 };

static const char KERNEL[] = "GPU_KERNEL empty\n    GPU_THREAD_CODE:\n        THREAD_ID -> i\nGPU_END\n";
static struct gbg gpu;

static void say_number(uint64_t value, char end) {
    char digits[24];
    int at = sizeof digits;
    digits[--at] = end;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    sys_write(1, digits + at, sizeof digits - (size_t)at);
}

static void check(int code) {
    if (!code) return;
    sys_write(2, gpu.message, text_length(gpu.message));
    ask(SYS_EXIT, 1, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: and $-16, %rsp\n call start\n hlt\n");

__attribute__((used)) void start(void) {
    struct gbg_memory text;
    struct gbg_result result;
    uint64_t job;
    check(gbg_open(&gpu, 60000));
    check(gbg_alloc(&gpu, sizeof KERNEL - 1, &text));
    copy_bytes(text.at, KERNEL, sizeof KERNEL - 1);
    for (int i = 0; i < WARM + COUNT; i++) {
        int64_t begun = sys_now_us();
        check(gbg_status(&gpu, 0, &result));
        int64_t asked = sys_now_us();
        check(gbg_kernel(&gpu, &text, sizeof KERNEL - 1, GBG_GPK, 0));
        gbg_grid(&gpu, 1, 0, 0);
        check(gbg_run(&gpu, &job, &result));
        int64_t done = sys_now_us();
        if (i >= WARM) say_number((uint64_t)(asked - begun), ' '), say_number((uint64_t)(done - asked), '\n');
    }
    gbg_close(&gpu);
    ask(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}
