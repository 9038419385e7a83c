// Steps until a number comes to 1; -1 where it takes more than a bound.
__attribute__((export_name("collatz"))) int collatz(unsigned long long n, int most) {
    int steps = 0;
    for (; n != 1; steps++) {
        if (steps == most) return -1;
        n = n & 1 ? 3 * n + 1 : n >> 1;
    }
    return steps;
}
