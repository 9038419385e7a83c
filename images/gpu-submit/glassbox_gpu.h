/* Submit kernels from a guest of Glass Box to the GPU of its host. docs/gpu-protocol.md says what goes over the port.

       struct gbg gpu;
       struct gbg_memory text, x;
       if (gbg_open(&gpu, 1000)) die(gpu.message);
       gbg_alloc(&gpu, source_size, &text);  copy the kernel's text to text.at;
       gbg_alloc(&gpu, 4 * n, &x);           write floats to x.at;
       gbg_kernel(&gpu, &text, source_size, GBG_GPK, "saxpy");
       gbg_number(&gpu, "a", "2.5");
       gbg_memory_argument(&gpu, "x", &x, 0, 4 * n, GBG_F32);
       if (gbg_run(&gpu, &job, &result)) die(gpu.message);
       read floats from x.at;

   Memory is shared with the host: nothing is copied. All functions return 0, a code of the protocol (enum gbg_code), or one of
   enum gbg_trouble below 0; then `message` says why in a sentence, and `line` and `column` where in the kernel's text, if there.
   One process of a guest at a time has the port; the library needs neither a driver nor a C library, and x86-64. */
#ifndef GLASSBOX_GPU_H
#define GLASSBOX_GPU_H

#include <stddef.h>
#include <stdint.h>

enum gbg_code { GBG_OK, GBG_MALFORMED, GBG_VERSION, GBG_COMMAND, GBG_REPLAYED, GBG_SESSION, GBG_SOURCE, GBG_PROGRAM, GBG_LAUNCH, GBG_QUOTA,
                GBG_HANDLE, GBG_BUSY, GBG_DEADLINE, GBG_REFUSED, GBG_TRAP, GBG_LIMIT, GBG_DEVICE, GBG_CANCELLED, GBG_ADDRESS, GBG_JOB,
                GBG_USAGE, GBG_FAILED };
enum gbg_trouble { GBG_NO_PORT = -1, GBG_NO_SERVER = -2, GBG_PORT_BUSY = -3, GBG_NO_ANSWER = -4, GBG_NO_ROOM = -5 };
enum gbg_element { GBG_U8, GBG_I8, GBG_U16, GBG_I16, GBG_U32, GBG_I32, GBG_U64, GBG_I64, GBG_F32, GBG_F64 };
enum gbg_language { GBG_GPK, GBG_IR };
enum gbg_class { GBG_INFERRED, GBG_REALTIME, GBG_BATCH, GBG_THROUGHPUT, GBG_INTERACTIVE };
enum gbg_state { GBG_BUILDING = 1, GBG_QUEUED, GBG_RUNNING, GBG_DONE, GBG_FAILED_JOB, GBG_CANCELLED_JOB };
enum { GBG_PAYLOAD = 4096, GBG_LINE = (24 + GBG_PAYLOAD + 2) / 3 * 4 + 1 };

/* An open port, and the aperture: memory that the host sees too. */
struct gbg {
    int port;
    uint64_t session, number;
    uint8_t *aperture;
    uint64_t aperture_size;
    uint32_t line, column;
    uint64_t left;               /* bytes or jobs that are left of a quota, where one was too small */
    char message[1024];
    /* What follows is the library's own. */
    int patience_ms;
    uint32_t arguments, used, got, taken;
    uint8_t request[GBG_PAYLOAD], reply[GBG_PAYLOAD + 24];
    char sent[GBG_LINE + 64], received[2 * GBG_LINE];
};

/* Memory of the aperture: `at` is where it is in this process. It is zeroed when it is given. */
struct gbg_memory { uint64_t handle, offset, size; uint8_t *at; };

/* What became of a job; times are in microseconds, `printed` is what its lanes printed, up to 1 KiB. */
struct gbg_result { int state; uint64_t queued_us, built_us, device_us; uint32_t slices; char printed[1024]; };

/* What this guest may use, and uses now. */
struct gbg_limits { double weight; uint64_t memory, memory_used, aperture, aperture_used, jobs, jobs_queued; };

int gbg_open(struct gbg *gpu, int patience_ms);
void gbg_close(struct gbg *gpu);
int gbg_alloc(struct gbg *gpu, uint64_t size, struct gbg_memory *memory);
int gbg_free(struct gbg *gpu, const struct gbg_memory *memory);

/* A submission is put together by gbg_kernel and a call for each argument, then sent. */
int gbg_kernel(struct gbg *gpu, const struct gbg_memory *text, uint64_t length, int language, const char *name);
void gbg_grid(struct gbg *gpu, uint64_t lanes, uint64_t blocks, uint32_t threads);
void gbg_schedule(struct gbg *gpu, int job_class, uint64_t deadline_us, uint64_t limit_us, uint64_t fuel);
int gbg_number(struct gbg *gpu, const char *name, const char *text);
int gbg_memory_argument(struct gbg *gpu, const char *name, const struct gbg_memory *memory, uint64_t offset, uint64_t size, int element);
/* `size` bytes of this process's own memory, which the host reads through the page tables of the guest. */
int gbg_own_argument(struct gbg *gpu, const char *name, const void *at, uint64_t size, int element);
int gbg_submit(struct gbg *gpu, uint64_t *job);

/* Submit and wait until the job has ended, in one way there and back less. */
int gbg_run(struct gbg *gpu, uint64_t *job, struct gbg_result *result);

/* Wait until `job` has ended, for `timeout_ms` at most (-1: for ever); a job that failed is a code. */
int gbg_wait(struct gbg *gpu, uint64_t job, int timeout_ms, struct gbg_result *result);
int gbg_status(struct gbg *gpu, uint64_t job, struct gbg_result *result);
int gbg_cancel(struct gbg *gpu, uint64_t job);
int gbg_limits(struct gbg *gpu, struct gbg_limits *limits);
/* What the host's server says of its device, in words. */
int gbg_capabilities(struct gbg *gpu, char *text, size_t size);

#endif
