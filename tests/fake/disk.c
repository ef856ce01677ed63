/* A disk in trouble: preloaded into a program, it makes fsync fail or not come back while the file that
 * DISK_FAULT names holds an 'e' or an 'h'; with 'o' it fails once, and the file is empty then. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static char fault(void)
{
    const char *path = getenv("DISK_FAULT");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char c = '\0';

    if (fd >= 0 && read(fd, &c, 1) != 1)
        c = '\0';
    if (fd >= 0)
        close(fd);
    return c;
}

int fsync(int fd)
{
    static const struct timespec a_while = {.tv_nsec = 20000000};
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    char c;

    while ((c = fault()) == 'h')
        nanosleep(&a_while, NULL);
    if (c == 'o')
        (void)!truncate(getenv("DISK_FAULT"), 0);
    if (c == 'e' || c == 'o') {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
