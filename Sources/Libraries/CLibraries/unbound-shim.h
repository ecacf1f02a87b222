#include <sys/time.h>
#include <unbound.h>
#include <unbound-event.h>
