// Files and directories below /, each step printed with the error that it gave.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void step(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void list(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, by_name);
    step(path, count);
    for (int n = 0; n < count; n++) printf("  %s %d\n", entries[n]->d_name, entries[n]->d_type);
}

int main(void) {
    char buffer[64] = {0};
    struct stat found;
    int file = open("/notes", O_RDWR | O_CREAT | O_EXCL, 0644);
    step("create", file < 0 ? -1 : 0);
    step("create again", open("/notes", O_RDWR | O_CREAT | O_EXCL, 0644));
    step("write", write(file, "one two three", 13));
    step("seek", lseek(file, 4, SEEK_SET));
    step("read", read(file, buffer, 3));
    printf("%s\n", buffer);
    step("write at", pwrite(file, "TWO", 3, 4));
    step("read at", pread(file, buffer, 20, 0));
    printf("%s\n", buffer);
    step("before the begin", lseek(file, -1, SEEK_SET));
    step("from the end", lseek(file, -5, SEEK_END));
    step("cut", ftruncate(file, 7));
    step("stat", fstat(file, &found));
    printf("%lld bytes, %d links\n", (long long)found.st_size, (int)found.st_nlink);
    step("close", close(file));
    step("close again", close(file));
    int more = open("/notes", O_WRONLY | O_APPEND);
    step("append", write(more, "!", 1));
    step("read what is only written", read(more, buffer, 1));
    close(more);
    step("directory", mkdir("/made", 0755));
    step("directory again", mkdir("/made", 0755));
    step("rename", rename("/notes", "/made/notes"));
    step("link", link("/made/notes", "/made/second"));
    step("symbolic link", symlink("notes", "/made/third"));
    memset(buffer, 0, sizeof buffer);
    step("readlink", readlink("/made/third", buffer, sizeof buffer));
    printf("%s\n", buffer);
    step("lstat", lstat("/made/third", &found));
    printf("%d\n", S_ISLNK(found.st_mode));
    list("/made");
    list("/nowhere");
    step("remove what is not empty", rmdir("/made"));
    step("unlink a directory", unlink("/made"));
    step("unlink", unlink("/made/second"));
    step("escape", open("/../../etc/passwd", O_RDONLY));
    step("escape by a link", open("/outside/passwd", O_RDONLY));
    step("read-only: read", (file = open("/data/words", O_RDONLY)) < 0 ? -1 : 0);
    step("words", read(file, buffer, 5));
    step("read-only: write", open("/data/words", O_WRONLY));
    step("read-only: create", open("/data/new", O_WRONLY | O_CREAT, 0644));
    step("read-only: remove", unlink("/data/words"));
    step("read-only: link out", link("/data/words", "/stolen"));
    FILE *stream = fopen("/made/big", "w+");
    for (int n = 0; n < 5000; n++) fprintf(stream, "line %d\n", n);
    step("flush", fflush(stream));
    rewind(stream);
    long sum = 0;
    while (fgets(buffer, sizeof buffer, stream)) sum += atoi(buffer + 5);
    printf("%ld\n", sum);
    fclose(stream);
    return 3;
}
