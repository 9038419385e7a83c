/* Opening and closing a window. No translated code runs meanwhile. */
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

/*
 * A vCPU has nothing to do: publish what it has recorded. Asks for no reset: the vCPU, which sleeps next, would not
 * see to it, and the caller may hold a lock that a reset takes.
 */
void flush_idle(unsigned vcpu);

/* Close the window if its time is over; from a vCPU's thread. */
void close_if_late(void);

/* Write WINDOW_STOP with `reason` to every ring. */
void close_window(uint32_t reason);

#pragma GCC visibility pop

#endif
