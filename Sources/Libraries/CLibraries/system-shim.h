// Of the C library, what its own module map leaves out.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

// Declared for programs of GNU only, which Swift's importer is not.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

// prctl is variadic.
static inline void system_name_this_thread(const char *name) {
    prctl(PR_SET_NAME, name);
}
