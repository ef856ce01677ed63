/* Runs a fuzz target over its corpus as a plain test: argv[1] is the folder of all corpora; the
 * target's own folder is named after it (fuzz_name -> corpus/name). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    const char *self = strstr(argv[0], "fuzz_");
    char dir[4096], path[4096 + 300];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    for (const char *s = self; s != NULL; s = strstr(s + 1, "fuzz_"))
        self = s;
    if (argc < 2 || self == NULL)
        return 2;
    snprintf(dir, sizeof(dir), "%s/%s", argv[1], self + 5);
    d = opendir(dir);
    if (d == NULL) {
        perror(dir);
        return 1;
    }
    while ((e = readdir(d)) != NULL) {
        FILE *f;
        uint8_t *buf;
        size_t len;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        f = fopen(path, "re");
        if (f == NULL)
            continue;
        buf = malloc(1 << 20);
        len = fread(buf, 1, 1 << 20, f);
        fclose(f);
        /* an exact allocation, so that the sanitizer sees reads past the end */
        uint8_t *exact = malloc(len + (len == 0));
        memcpy(exact, buf, len);
        free(buf);
        LLVMFuzzerTestOneInput(exact, len);
        free(exact);
        n++;
    }
    closedir(d);
    printf("%u inputs\n", n);
    return n == 0;
}
