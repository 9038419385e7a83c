// Insertion sort and a checksum of numbers made from a seed; the array lies in the memory of each lane.
static unsigned values[256];

static unsigned next(unsigned *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

__attribute__((export_name("sorted_checksum"))) unsigned sorted_checksum(unsigned seed, int count) {
    unsigned state = seed | 1;
    if (count > 256) __builtin_trap();
    for (int i = 0; i < count; i++) values[i] = next(&state);
    for (int i = 1; i < count; i++) {
        unsigned value = values[i];
        int at = i;
        for (; at > 0 && values[at - 1] > value; at--) values[at] = values[at - 1];
        values[at] = value;
    }
    unsigned sum = 0;
    for (int i = 0; i < count; i++) sum = sum * 31 + values[i];
    return sum;
}

__attribute__((export_name("at"))) unsigned at(int place) { return values[place & 255]; }
