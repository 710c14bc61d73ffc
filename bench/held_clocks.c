/* Preloaded into a program, this lets its clocks stand still while the first byte of the file HELD_CLOCKS is not 0.
 * Nothing is due then, however long the program takes. Another value than before is another hold. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CLOCKS 16

static const volatile char *are_held;
static char known_in[CLOCKS];
static struct timespec known[CLOCKS];

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HELD_CLOCKS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);

    if (found == MAP_FAILED)
        abort();
    close(file);
    are_held = found;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    char hold = are_held && clock >= 0 && clock < CLOCKS ? *are_held : 0;

    if (hold && known_in[clock] == hold) {
        *now = known[clock];
        return 0;
    }
    if (syscall(SYS_clock_gettime, clock, now))
        return -1;
    if (hold) {
        known[clock] = *now;
        known_in[clock] = hold;
    }
    return 0;
}
