//! uses: atexit, exit, abort, a division by zero, a wild pointer
//! args: exit 7
//! args: abort 0
//! args: divide 0
//! args: wild 0
//! args: return 9
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void last(void) { puts("last words"); }

int main(int count, char **given) {
    volatile int number = atoi(given[2]);
    atexit(last);
    puts("before");
    fflush(stdout);
    if (!strcmp(given[1], "exit")) exit(number);
    if (!strcmp(given[1], "abort")) abort();
    if (!strcmp(given[1], "divide")) printf("%d\n", 5 / number);
    if (!strcmp(given[1], "wild")) printf("%d\n", *(volatile int *)0x7ffffff0);
    return number;
}
