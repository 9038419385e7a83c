//! uses: printf and sscanf: flags, widths, long long, hexadecimal, floats, snprintf
//! args: 42
//! args: -7.25
#include <inttypes.h>
#include <stdio.h>

int main(int count, char **given) {
    double x = 0;
    int whole = 0, read = sscanf(given[1], "%lf", &x), parts = sscanf("10-0x1f rest", "%d-%i", &whole, &count);
    printf("%d %d %d %d\n", read, parts, whole, count);
    printf("[%8.3f] [%-8g] [%+e] [%a] [%08.2f]\n", x, x, x, x, x);
    printf("[%5d] [%-5d] [%05d] [%x] [%#o] [%c] [%.3s]\n", (int)x, (int)x, (int)x, 48879, 8, 'q', "abcdef");
    printf("%lld %" PRIu64 " %zu %%\n", 1LL << 40, UINT64_MAX, sizeof(long));
    char small[8];
    printf("%d %s\n", snprintf(small, sizeof small, "%s and more", given[1]), small);
    return 0;
}
