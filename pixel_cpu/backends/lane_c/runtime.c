/* Threads over the groups of a launch. Compiled once for a machine, used by every kernel.

   The calling thread begins alone; the others are woken when the pace of its first slices says that it pays. A pool that is busy
   with another launch is not waited for. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef void (*gb_kernel)(void *launch, char *scratch, uint64_t first, uint64_t last);

enum { COUNTS = 9 };

/* Units that a thread ran without a break; or, where `line` is not NO_PHASE, what the first group of them did up to the barrier of
   that line (in group.py: NO_LINE, GROUP_END). The counts are the launch's by then. Mirrored by ROW in timeline.py. */
typedef struct {
  uint64_t begin, end, first, last, counts[COUNTS], traps;
  int32_t thread, processor, line, unused;
} gb_row;

enum { NO_PHASE = -2 };

/* Mirrored by TimelineRecord in timeline.py. */
typedef struct {
  gb_row *rows;
  uint64_t capacity, used;
  const uint64_t *counts, *traps;
} gb_timeline;

/* Where a run ends before its last unit; mirrored by ControlRecord in executable.py. `done` is the unit after the last one that ran. */
typedef struct {
  uint64_t budget_ns; /* 0: no limit */
  const uint32_t *stop; /* NULL, or a word that others set */
  uint64_t done;
} gb_control;

enum { MAX_THREADS = 256 };
#define WORTH_WAKING_NS 60000
#define LONGEST_SLICE_NS 50000 /* of a run that may be stopped */

static struct {
  pthread_mutex_t owner, lock;
  pthread_cond_t begin, end;
  int threads; /* beside the calling one; -1: not started */
  uint64_t generation;
  int running;
  gb_kernel kernel;
  void *launch;
  uint64_t units, slice, scratch_bytes, next;
  gb_timeline *timeline; /* NULL unless the launch is recorded */
  const gb_control *control;
  uint64_t begun;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, -1, 0,
          0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static __thread char *scratch;
static __thread uint64_t scratch_size;
static pthread_key_t scratch_key;

/* Memory of this thread, at least so large; NULL if there is none. */
static char *own_scratch(uint64_t bytes) {
  if (bytes > scratch_size) {
    free(scratch);
    bytes = (bytes + 4095) & ~(uint64_t)4095;
    scratch = aligned_alloc(4096, bytes);
    scratch_size = scratch ? bytes : 0;
    pthread_setspecific(scratch_key, scratch);
  }
  return scratch;
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __thread int thread_number; /* 0 is the calling one */
static __thread struct {
  gb_timeline *timeline;
  uint64_t first, begin;
} recorded; /* the slice that this thread runs */

static void record(gb_timeline *timeline, uint64_t begin, uint64_t first, uint64_t last, int32_t line) {
  uint64_t place = __atomic_fetch_add(&timeline->used, 1, __ATOMIC_RELAXED);
  if (place >= timeline->capacity) return;
  gb_row *row = &timeline->rows[place];
  row->begin = begin, row->first = first, row->last = last, row->line = line;
  row->thread = thread_number, row->processor = sched_getcpu();
  for (int i = 0; i < COUNTS; i++) row->counts[i] = __atomic_load_n(&timeline->counts[i], __ATOMIC_RELAXED);
  row->traps = __atomic_load_n(timeline->traps, __ATOMIC_RELAXED);
  row->end = now_ns();
}

/* Called by kernels that count, at barriers. */
void gb_phase(uint64_t group, int32_t line) {
  if (!recorded.timeline || group != recorded.first) return;
  record(recorded.timeline, recorded.begin, group, group + 1, line);
  recorded.begin = now_ns();
}

static void run_slice(gb_kernel kernel, void *launch, char *memory, uint64_t first, uint64_t last, gb_timeline *timeline) {
  if (!timeline) {
    kernel(launch, memory, first, last);
    return;
  }
  uint64_t begin = now_ns();
  recorded.timeline = timeline, recorded.first = first, recorded.begin = begin;
  kernel(launch, memory, first, last);
  recorded.timeline = NULL;
  record(timeline, begin, first, last, NO_PHASE);
}

static int must_stop(const gb_control *control, uint64_t begun) {
  if (control->stop && __atomic_load_n(control->stop, __ATOMIC_RELAXED)) return 1;
  return control->budget_ns && now_ns() - begun >= control->budget_ns;
}

/* Units that a run which may be stopped does without a look: at the pace so far as long as LONGEST_SLICE_NS. */
static uint64_t at_most(uint64_t slice, uint64_t spent, uint64_t units) {
  uint64_t most = LONGEST_SLICE_NS * units / (spent + 1);
  return slice < most ? slice : most ? most : 1;
}

/* Slices that were taken are always done, so that what has run is all that lies before the next one. */
static int take(uint64_t *first, uint64_t *last) {
  if (must_stop(pool.control, pool.begun)) return 0;
  *first = __atomic_fetch_add(&pool.next, pool.slice, __ATOMIC_RELAXED);
  if (*first >= pool.units) return 0;
  *last = pool.units - *first < pool.slice ? pool.units : *first + pool.slice;
  return 1;
}

static void work(void) {
  uint64_t first, last;
  char *memory = own_scratch(pool.scratch_bytes);
  if (pool.scratch_bytes && !memory) return; /* the calling thread has its own, and does the rest */
  while (take(&first, &last)) run_slice(pool.kernel, pool.launch, memory, first, last, pool.timeline);
}

static void *worker(void *number) {
  uint64_t seen = 0;
  thread_number = (int)(intptr_t)number;
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    while (pool.generation == seen) pthread_cond_wait(&pool.begin, &pool.lock);
    seen = pool.generation;
    pthread_mutex_unlock(&pool.lock);
    work();
    pthread_mutex_lock(&pool.lock);
    if (--pool.running == 0) pthread_cond_signal(&pool.end);
  }
  return NULL;
}

/* A forked child has none of the threads. */
static void after_fork(void) {
  pthread_mutex_init(&pool.owner, NULL);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.begin, NULL);
  pthread_cond_init(&pool.end, NULL);
  pool.threads = -1, pool.running = 0;
}

__attribute__((constructor)) static void prepare(void) {
  pthread_key_create(&scratch_key, free);
  pthread_atfork(NULL, NULL, after_fork);
}

static int allowed_processors(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return count < MAX_THREADS ? count : MAX_THREADS;
}

static void start_threads(void) {
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before); /* signals are the program's, not the pool's */
  pool.threads = 0;
  pool.generation = 0;
  for (int i = allowed_processors() - 1; i > 0; i--) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)(pool.threads + 1))) break;
    pthread_detach(thread);
    pool.threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void with_others(gb_kernel kernel, void *launch, uint64_t first, uint64_t units, uint64_t bytes, char *memory,
                        gb_timeline *timeline, gb_control *control, uint64_t begun, uint64_t most) {
  if (pool.threads < 0) start_threads();
  uint64_t begin, end;
  pthread_mutex_lock(&pool.lock);
  pool.kernel = kernel, pool.launch = launch, pool.units = units, pool.scratch_bytes = bytes, pool.next = first;
  pool.timeline = timeline, pool.control = control, pool.begun = begun;
  uint64_t share = (units - first) / ((uint64_t)(pool.threads + 1) * 16);
  if (share > most) share = most;
  pool.slice = share ? share : 1;
  pool.running = pool.threads;
  pool.generation++;
  pthread_cond_broadcast(&pool.begin);
  pthread_mutex_unlock(&pool.lock);
  while (take(&begin, &end)) run_slice(kernel, launch, memory, begin, end, timeline);
  pthread_mutex_lock(&pool.lock);
  while (pool.running) pthread_cond_wait(&pool.end, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
  control->done = pool.next < units ? pool.next : units;
}

/* Run units `done` to `units` of a launch, or as far as `control` allows: one at least; 1 if there is no memory for it. `is_alone`: in
   this thread, in order. `timeline` may be NULL. */
int gb_run(gb_kernel kernel, void *launch, uint64_t done, uint64_t units, uint64_t bytes, int is_alone, gb_timeline *timeline,
           gb_control *control) {
  char *memory = own_scratch(bytes);
  if (bytes && !memory) return 1;
  int may_stop = control->budget_ns || control->stop;
  uint64_t first = done, slice = 1, longest = units;
  /* Lines that are printed are as exact in time as the slices. */
  if (is_alone) longest = timeline ? units / (timeline->capacity / 4) + 1 : units;
  if (is_alone && !may_stop) slice = longest;
  uint64_t begun = now_ns();
  while (done < units) {
    uint64_t last = units - done < slice ? units : done + slice;
    run_slice(kernel, launch, memory, done, last, timeline);
    control->done = done = last;
    if (may_stop && must_stop(control, begun)) return 0;
    uint64_t spent = now_ns() - begun, pace = spent / (done - first), most = may_stop ? at_most(longest, spent, done - first) : longest;
    if (!is_alone && spent > 2000 && pace * (units - done) > WORTH_WAKING_NS && !pthread_mutex_trylock(&pool.owner)) {
      with_others(kernel, launch, done, units, bytes, memory, timeline, control, begun, most);
      pthread_mutex_unlock(&pool.owner);
      return 0;
    }
    slice = 2 * slice < most ? 2 * slice : most;
  }
  return 0;
}

void gb_free(void *memory) { free(memory); }

int gb_threads(void) { return allowed_processors(); }
