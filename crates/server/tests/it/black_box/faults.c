// Makes the disk of a process fail, and its clock jump, from outside of it: loaded in front of the C library with
// LD_PRELOAD.
//
// What shall happen stands in a file (variable FAULT_PLAN) that both sides map: the test writes a plan there while the
// process runs, and reads how many calls were counted. Only calls on files whose path contains `scope` are counted.
// The layout of `struct plan` is known to `faults.rs`.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, CUT = 4, NAME = 8, OPEN = 16 };
enum action { NOTHING, FAIL, SHORT_WRITE, KILL_BEFORE, KILL_AFTER, TORN_WRITE };

struct plan {
    _Atomic uint64_t calls;    // that were counted
    _Atomic uint64_t injected; // that did not go as the process wanted
    _Atomic uint64_t first;    // number of the first call to strike; the first one of all is 1
    _Atomic uint64_t count;    // how many to strike from there on
    _Atomic uint32_t kinds;    // which kinds of calls are counted
    _Atomic uint32_t action;
    _Atomic uint32_t error;    // errno of FAIL
    _Atomic uint32_t per_mille; // how much of a write is done by SHORT_WRITE and TORN_WRITE
    _Atomic int64_t clock;     // seconds by which the wall clock is ahead
    char scope[64];
    _Atomic int64_t timers;    // seconds by which the clock that only runs forwards is ahead
};

static struct plan *plan;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_PLAN");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        plan = shared;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/// What to do with this call, which is counted.
static enum action judge(enum kind kind, const char *path)
{
    if (!(plan->kinds & kind) || !strstr(path, plan->scope))
        return NOTHING;
    uint64_t number = atomic_fetch_add(&plan->calls, 1) + 1;
    uint64_t first = plan->first;
    if (number < first || number - first >= plan->count)
        return NOTHING;
    enum action action = plan->action;
    if (action != NOTHING)
        atomic_fetch_add(&plan->injected, 1);
    if (action == KILL_BEFORE)
        die();
    return action;
}

static enum action judge_file(enum kind kind, int file)
{
    if (!plan)
        return NOTHING;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int saved = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    // Sockets and pipes have no path.
    if (length <= 0 || path[0] != '/')
        return NOTHING;
    path[length] = 0;
    return judge(kind, path);
}

static size_t part_of(size_t size)
{
    return size * plan->per_mille / 1000;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/// Does `whole`, or `part` of it, or nothing of it. Both are expressions of a result that is negative on failure.
#define STRIKE(action, whole, part)          \
    do {                                     \
        switch (action) {                    \
        case FAIL:                           \
            errno = (int)plan->error;        \
            return -1;                       \
        case SHORT_WRITE:                    \
            return part;                     \
        case TORN_WRITE:                     \
            (void)!(part);                   \
            die();                           \
            return -1;                       \
        case KILL_AFTER:                     \
            (void)!(whole);                  \
            die();                           \
            return -1;                       \
        default:                             \
            return whole;                    \
        }                                    \
    } while (0)

ssize_t write(int file, const void *bytes, size_t size)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(write)(file, bytes, size), REAL(write)(file, bytes, part_of(size)));
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(pwrite)(file, bytes, size, at), REAL(pwrite)(file, bytes, part_of(size), at));
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(pwrite64)(file, bytes, size, at), REAL(pwrite64)(file, bytes, part_of(size), at));
}

// A vector is torn inside of its first piece.
ssize_t writev(int file, const struct iovec *pieces, int count)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(writev)(file, pieces, count),
           REAL(write)(file, pieces[0].iov_base, part_of(pieces[0].iov_len)));
}

ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t at)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(pwritev)(file, pieces, count, at),
           REAL(pwrite)(file, pieces[0].iov_base, part_of(pieces[0].iov_len), at));
}

ssize_t pwritev64(int file, const struct iovec *pieces, int count, off64_t at)
{
    enum action action = judge_file(WRITE, file);
    STRIKE(action, REAL(pwritev64)(file, pieces, count, at),
           REAL(pwrite64)(file, pieces[0].iov_base, part_of(pieces[0].iov_len), at));
}

int fsync(int file)
{
    enum action action = judge_file(SYNC, file);
    STRIKE(action, REAL(fsync)(file), 0);
}

int fdatasync(int file)
{
    enum action action = judge_file(SYNC, file);
    STRIKE(action, REAL(fdatasync)(file), 0);
}

int sync_file_range(int file, off64_t at, off64_t size, unsigned int flags)
{
    enum action action = judge_file(SYNC, file);
    STRIKE(action, REAL(sync_file_range)(file, at, size, flags), 0);
}

int ftruncate(int file, off_t size)
{
    enum action action = judge_file(CUT, file);
    STRIKE(action, REAL(ftruncate)(file, size), 0);
}

int ftruncate64(int file, off64_t size)
{
    enum action action = judge_file(CUT, file);
    STRIKE(action, REAL(ftruncate64)(file, size), 0);
}

/// Only opening to write is counted: what may not be written may still be read.
static enum action judge_open(const char *path, int flags)
{
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    return plan && writes ? judge(OPEN, path) : NOTHING;
}

// The mode is there only when a file may be made; passing whatever stands in its place does no harm.
static mode_t mode_of(va_list arguments)
{
    return va_arg(arguments, mode_t);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(arguments);
    va_end(arguments);
    enum action action = judge_open(path, flags);
    STRIKE(action, REAL(open)(path, flags, mode), -1);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(arguments);
    va_end(arguments);
    enum action action = judge_open(path, flags);
    STRIKE(action, REAL(open64)(path, flags, mode), -1);
}

int rename(const char *from, const char *to)
{
    enum action action = plan ? judge(NAME, to) : NOTHING;
    STRIKE(action, REAL(rename)(from, to), 0);
}

int unlink(const char *path)
{
    enum action action = plan ? judge(NAME, path) : NOTHING;
    STRIKE(action, REAL(unlink)(path), 0);
}

// Timers run by the monotonic clock. They are looked at when the process has something to do.
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    if (result == 0 && plan && clock == CLOCK_REALTIME)
        now->tv_sec += plan->clock;
    if (result == 0 && plan && clock == CLOCK_MONOTONIC)
        now->tv_sec += plan->timers;
    return result;
}
