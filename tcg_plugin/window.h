/* Opening and closing a window. All vCPUs stand still in these three. */
#ifndef GB_WINDOW_H
#define GB_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* Prepare the window that the control block describes, and open it unless a trigger is set; false: set_error says why not. */
bool arm(void);

/* Open the armed window on every vCPU. */
void open_all_rings(void);

/*
 * A vCPU stands still; on its own thread. If its last block was left by an exception and the handler has not begun, nobody
 * else would tell: the event goes into the ring if the window closes before the vCPU goes on.
 */
void note_exception(unsigned vcpu);

/* Write WINDOW_STOP with `reason` to every ring. */
void close_window(uint32_t reason);

#pragma GCC visibility pop

#endif
