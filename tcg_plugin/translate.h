/* Which hooks a block gets when QEMU translates it. */
#ifndef GB_TRANSLATE_H
#define GB_TRANSLATE_H

#include "state.h"

#pragma GCC visibility push(hidden)

void on_translation(GB_OF_TRANSLATION);

#pragma GCC visibility pop

#endif
