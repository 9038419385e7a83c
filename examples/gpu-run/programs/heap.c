//! uses: malloc, calloc, realloc, free, a linked list, a failing allocation
//! args: 10
//! args: 3000
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct node { struct node *next; int value; };

int main(int count, char **given) {
    int n = atoi(given[1]), sum = 0;
    struct node *head = NULL;
    for (int i = 0; i < n; i++) {
        struct node *made = malloc(sizeof *made);
        *made = (struct node){head, i * i % 17};
        head = made;
    }
    while (head) {
        struct node *next = head->next;
        sum += head->value;
        free(head);
        head = next;
    }
    char *buffer = calloc(4, 1);
    for (size_t size = 4; size < (size_t)n; size *= 2) buffer = realloc(buffer, size * 2), buffer[size] = (char)size;
    volatile size_t huge = (size_t)1 << 31;
    void *none = malloc(huge);
    printf("%d %d %d\n", sum, buffer[3], none == NULL);
    free(buffer);
    return 0;
}
