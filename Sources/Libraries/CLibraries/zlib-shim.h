#include <zlib.h>

// inflateInit2 is a macro. Without a header: the stream is deflate's own (RFC 1951).
static inline int inflater_start(z_stream *stream) {
    return inflateInit2(stream, -MAX_WBITS);
}
