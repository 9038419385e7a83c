//! uses: fopen, fwrite, fseek, ftell, fgets, remove, errno
//! args: c-one.out
//! args: none/c-two.out
#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **given) {
    FILE *file = fopen(given[1], "w+");
    if (!file) return printf("%s\n", strerror(errno)), 3;
    fputs("first line\nsecond\n", file);
    fwrite("third", 1, 5, file);
    printf("%ld\n", ftell(file));
    fseek(file, 11, SEEK_SET);
    char line[32];
    while (fgets(line, sizeof line, file)) printf("[%s]", line);
    printf(" %d %d\n", feof(file) != 0, ferror(file));
    fclose(file);
    int first = remove(given[1]), second = remove(given[1]);
    printf("%d %d %d\n", first, second, errno == ENOENT);
    return 0;
}
