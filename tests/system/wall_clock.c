/* A wall clock that a test can set: preloaded into a process, adds the nanoseconds that a file holds to CLOCK_REALTIME.
   The file is named by PHX_WALL_CLOCK. The simulated venue keeps the true time: it plays a machine of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t none = 0;
static const volatile int64_t *shift_ns = &none;
static int (*true_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find(void)
{
    static char said[4096];
    char *name = getenv("PHX_WALL_CLOCK");
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, said, sizeof said);
    if (fd >= 0)
        close(fd);
    true_clock = dlsym(RTLD_NEXT, "clock_gettime");
    if (name == NULL || (size > 4 && memcmp(said + size - 5, "\0sim", 5) == 0))
        return;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        shift_ns = mapped;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = true_clock(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = now->tv_sec * INT64_C(1000000000) + now->tv_nsec + *shift_ns;
        now->tv_sec = ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    int status = clock_gettime(CLOCK_REALTIME, &found);
    (void)zone;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return status;
}

time_t time(time_t *out)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (out != NULL)
        *out = found.tv_sec;
    return found.tv_sec;
}
