/* Loaded before the C library into a process that is to die at one of its writes to the journal of rollouts, or at one of its syncs.

   BATON_TEST_KILL_AT    which one, from 1
   BATON_TEST_KILL_ON    "write" or "sync"
   BATON_TEST_KILL_WHEN  "before" or "after" */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long counted;

static int ends_with(const char *path, const char *end)
{
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static int is_journal(int descriptor)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return ends_with(path, "/journal.db") || ends_with(path, "/journal.db-wal");
}

static int is_set(const char *name, const char *value)
{
    const char *set = getenv(name);
    return set != NULL && strcmp(set, value) == 0;
}

/* Whether this one is the one. */
static int is_due(const char *kind, int descriptor)
{
    const char *at = getenv("BATON_TEST_KILL_AT");
    if (at == NULL || !is_set("BATON_TEST_KILL_ON", kind) || !is_journal(descriptor))
        return 0;
    return atomic_fetch_add(&counted, 1) + 1 == atol(at);
}

static void die_if(int due, const char *when)
{
    if (due && is_set("BATON_TEST_KILL_WHEN", when))
        kill(getpid(), SIGKILL);
}

#define AT(kind, descriptor, name, type, call)                   \
    do {                                                         \
        static type(*next);                                      \
        if (next == NULL)                                        \
            next = (type(*))dlsym(RTLD_NEXT, #name);             \
        int due = is_due(kind, descriptor);                      \
        die_if(due, "before");                                   \
        __auto_type result = next call;                          \
        die_if(due, "after");                                    \
        return result;                                           \
    } while (0)

typedef ssize_t write_type(int, const void *, size_t);
typedef ssize_t pwrite_type(int, const void *, size_t, off64_t);
typedef int sync_type(int);

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    AT("write", descriptor, write, write_type, (descriptor, bytes, count));
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset)
{
    AT("write", descriptor, pwrite, pwrite_type, (descriptor, bytes, count, offset));
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset)
{
    AT("write", descriptor, pwrite64, pwrite_type, (descriptor, bytes, count, offset));
}

int fsync(int descriptor)
{
    AT("sync", descriptor, fsync, sync_type, (descriptor));
}

int fdatasync(int descriptor)
{
    AT("sync", descriptor, fdatasync, sync_type, (descriptor));
}
