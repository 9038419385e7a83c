// Numbers as text and back, and hashes of them; memory is copied and filled by the library's functions.
static char text[64];

void *memcpy(void *to, const void *from, unsigned long size) {
    char *target = to;
    for (const char *source = from; size; size--) *target++ = *source++;
    return to;
}

static int write(unsigned long long n) {
    char digits[20];
    int count = 0;
    do digits[count++] = '0' + n % 10; while (n /= 10);
    for (int i = 0; i < count; i++) text[i] = digits[count - 1 - i];
    text[count] = 0;
    return count;
}

__attribute__((export_name("round_trip"))) unsigned long long round_trip(unsigned long long n) {
    int count = write(n);
    char copy[64];
    __builtin_memcpy(copy, text, 64);
    unsigned long long found = 0;
    for (int i = 0; i < count; i++) found = found * 10 + (copy[i] - '0');
    return found;
}

__attribute__((export_name("hash"))) unsigned hash(unsigned long long n) {
    unsigned found = 2166136261u;
    int count = write(n);
    for (int i = 0; i < count; i++) found = (found ^ (unsigned char)text[i]) * 16777619u;
    return found;
}
