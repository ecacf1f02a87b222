#include <zlib.h>

// inflateInit2 is a macro. Without a header: the stream is deflate's own (RFC 1951).
static inline int inflater_start(z_stream *stream) {
    return inflateInit2(stream, -MAX_WBITS);
}

// deflateInit2 is a macro. 16: the stream is gzip's (RFC 1952), with a header that says neither name nor time.
static inline int gzip_start(z_stream *stream) {
    return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
}
