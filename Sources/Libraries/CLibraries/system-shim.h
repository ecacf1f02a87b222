// Of the C library, what its own module map leaves out.
#include <malloc.h>
