// Lanes take turns: each adds its square to a sum once it is its turn, and the last one writes the sum out.
#include "../glassbox/glassbox.h"

enum { SUM, TURN };

__attribute__((export_name("run"))) int run(void) {
    int64_t own = gb_lane();
    while (gb_compare_exchange(TURN, own, own) != own) {}
    GPU_DBG_INT(own * own);
    gb_atomic(GB_ADD, SUM, own * own);
    gb_atomic(GB_ADD, TURN, 1);
    gb_barrier();
    if (own + 1 == gb_lanes()) {
        int64_t sum = gb_atomic(GB_ADD, SUM, 0);
        GPU_PRINT("the last lane writes");
        return gb_write(0, 0, &sum, sizeof sum) == sizeof sum;
    }
    return 0;
}
