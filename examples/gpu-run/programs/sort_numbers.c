//! uses: qsort, atoi, a sum as exit code
//! args: 3 1 2
//! args: -5 40 7 7
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int main(int count, char **given) {
    int numbers[64], sum = 0, n = 0;
    for (int i = 1; i < count && n < 64; i++) sum += numbers[n++] = atoi(given[i]);
    qsort(numbers, n, sizeof *numbers, compare);
    for (int i = 0; i < n; i++) printf("%d\n", numbers[i]);
    return sum & 0x7f;
}
