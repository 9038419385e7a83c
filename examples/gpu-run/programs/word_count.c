//! uses: stdin and fopen, getc, isspace, perror
//! args:
//! args: fox.txt
//! args: none.txt
//! stdin: some words\nfor standard input\n
#include <ctype.h>
#include <stdio.h>

int main(int count, char **given) {
    FILE *file = count > 1 ? fopen(given[1], "r") : stdin;
    if (!file) return perror(given[1]), 1;
    long lines = 0, words = 0, bytes = 0;
    int in_word = 0, c;
    while ((c = getc(file)) != EOF) {
        bytes++;
        lines += c == '\n';
        words += !isspace(c) && !in_word;
        in_word = !isspace(c);
    }
    printf("%ld %ld %ld\n", lines, words, bytes);
    return 0;
}
