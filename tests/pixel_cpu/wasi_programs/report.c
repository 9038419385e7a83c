// What a program is given: arguments, environment, stdin; what it gives back: stdout, stderr, exit code.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    for (int n = 0; n < count; n++) printf("argument %d: %s\n", n, arguments[n]);
    const char *colour = getenv("COLOUR");
    printf("COLOUR: %s\n", colour ? colour : "none");
    char line[64];
    int lines = 0;
    while (fgets(line, sizeof line, stdin)) {
        lines++;
        fprintf(stderr, "%d: %s", lines, line);
    }
    printf("%d lines\n", lines);
    return count > 1 ? (int)strlen(arguments[1]) : 0;
}
