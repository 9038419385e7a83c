//! uses: crc32 by table, adler32, 64-bit arithmetic, a state machine in switch
//! args: "the text"
//! args: ""
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **given) {
    const char *text = given[1];
    uint32_t table[256], crc = ~0u, a = 1, b = 0;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    uint64_t mixed = 0x9e3779b97f4a7c15u;
    for (const char *c = text; *c; c++) {
        crc = table[(crc ^ (unsigned char)*c) & 255] ^ crc >> 8;
        a = (a + (unsigned char)*c) % 65521, b = (b + a) % 65521;
        mixed = (mixed ^ (unsigned char)*c) * 0xff51afd7ed558ccdu;
        mixed ^= mixed >> 33;
    }
    printf("%08x %08x %016llx\n", ~crc, b << 16 | a, (unsigned long long)mixed);
    enum { SPACE, WORD, NUMBER } state = SPACE;
    int words = 0, numbers = 0;
    for (const char *c = text;; c++) {
        int kind = *c >= '0' && *c <= '9' ? NUMBER : *c > ' ' ? WORD : SPACE;
        switch (state) {
        case SPACE: state = kind; break;
        case WORD: if (kind == SPACE) words++, state = SPACE; break;
        case NUMBER: if (kind == SPACE) numbers++, state = SPACE; else if (kind == WORD) state = WORD; break;
        }
        if (!*c) break;
    }
    printf("%d %d\n", words, numbers);
    return 0;
}
