//! uses: recursion, bit masks, a table of function pointers
//! args: 6 count
//! args: 5 show
//! args: 4 nothing
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int places[16], n, found;

static void count_one(void) { found++; }

static void show_one(void) {
    for (int i = 0; i < n; i++) putchar('a' + places[i]);
    putchar(found++ % 5 == 4 ? '\n' : ' ');
}

static void place(int row, unsigned columns, unsigned left, unsigned right, void (*each)(void)) {
    if (row == n) return each();
    for (int i = 0; i < n; i++) {
        unsigned bit = 1u << i;
        if ((columns | left | right) & bit) continue;
        places[row] = i;
        place(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1, each);
    }
}

int main(int count, char **given) {
    static const struct { const char *name; void (*each)(void); } table[] = {{"count", count_one}, {"show", show_one}};
    n = atoi(given[1]);
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(given[2], table[i].name)) place(0, 0, 0, 0, table[i].each);
    printf("%d solutions\n", found);
    return 0;
}
