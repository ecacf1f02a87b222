#include <sys/time.h>
#include <unbound.h>
#include <unbound-event.h>

// What libunbound gets for an event base and for an event: its own part first, then the way back to the Swift
// object. These are C structures because the layout of a Swift one is not promised.

struct resolver_event_base {
    struct ub_event_base super;
    void *object;
};

struct resolver_event {
    struct ub_event super;
    void *object;
};
