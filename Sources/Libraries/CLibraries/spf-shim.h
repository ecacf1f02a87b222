// Before spf2/spf.h, which does not include what it needs.
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <spf2/spf.h>

static inline void spf_ignore(const char *file, int line, const char *message) {
    (void)file;
    (void)line;
    (void)message;
}

// Handlers are global variables, which Swift 6 does not touch. Those there are print; errors still end the process.
static inline void spf_be_quiet(void) {
    SPF_warning_handler = spf_ignore;
    SPF_info_handler = spf_ignore;
    SPF_debug_handler = spf_ignore;
}

// Enumerators and macros of one name are ambiguous in Swift. 99 is the type SPF, which RFC 7208 does away with.
enum { spf_type_a = 1, spf_type_ptr = 12, spf_type_mx = 15, spf_type_txt = 16, spf_type_aaaa = 28 };

static inline int spf_type_number(ns_type type) {
    return (int)type;
}

// The union's members lie at its start; the block behind it is as long as was asked for.
static inline void *spf_record_octets(SPF_dns_rr_t *answer, int index) {
    return answer->rr[index];
}
