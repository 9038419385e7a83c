//! uses: strtok, strtol, strchr, strstr, memmove, toupper
//! args: "12,0x1f;-3,zz"
//! args: ""
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **given) {
    char text[100] = "";
    strncpy(text, given[1], sizeof text - 1);
    printf("%zu %d %d\n", strlen(text), strchr(text, ';') != NULL, strstr(text, "0x") != NULL);
    for (char *word = strtok(text, ",;"); word; word = strtok(NULL, ",;")) {
        char *end;
        long number = strtol(word, &end, 0);
        printf("%ld %s\n", number, *end ? "with a rest" : "all of it");
    }
    strcpy(text, "overlapping");
    memmove(text + 2, text, 9);
    for (char *c = text; *c; c++) *c = toupper((unsigned char)*c);
    printf("%s %d\n", text, memcmp(text, "OV", 2));
    return 0;
}
