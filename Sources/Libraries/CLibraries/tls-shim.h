#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Macros that Swift does not see.

static const uint64_t PST_SSL_OP_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t PST_SSL_OP_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
static const uint64_t PST_SSL_OP_CIPHER_SERVER_PREFERENCE = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const uint64_t PST_SSL_OP_PRIORITIZE_CHACHA = SSL_OP_PRIORITIZE_CHACHA;
static const uint64_t PST_SSL_OP_IGNORE_UNEXPECTED_EOF = SSL_OP_IGNORE_UNEXPECTED_EOF;

static inline int pst_set_min_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}
static inline void pst_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline int pst_set_server_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline void pst_set_session_cache_off(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline int pst_set_ticket_keys(SSL_CTX *context, void *keys, long bytes) {
    return (int)SSL_CTX_set_tlsext_ticket_keys(context, keys, bytes);
}
static inline int pst_use_chain(SSL_CTX *context, STACK_OF(X509) *chain) {
    return (int)SSL_CTX_set1_chain(context, chain);
}
static inline void pst_set_server_name_callback(SSL_CTX *context, int (*body)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, body);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline int pst_set_groups(SSL_CTX *context, const char *list) {
    return (int)SSL_CTX_set1_groups_list(context, list);
}
static inline int pst_is_no_start_line(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}
static inline STACK_OF(X509) *pst_new_chain(void) { return sk_X509_new_null(); }
static inline int pst_push(STACK_OF(X509) *chain, X509 *certificate) { return sk_X509_push(chain, certificate); }
static inline void pst_free_chain(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }
static inline int pst_count_names(GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *pst_name(GENERAL_NAMES *names, int index) { return sk_GENERAL_NAME_value(names, index); }
static inline void pst_free_names(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }
static inline EVP_PKEY *pst_generate_ec(void) { return EVP_EC_gen("P-256"); }
static inline long pst_pending(BIO *bio) { return (long)BIO_pending(bio); }
static inline void pst_set_mem_eof_return(BIO *bio, int value) { BIO_set_mem_eof_return(bio, value); }
static inline int pst_add_name_entry(X509_NAME *name, const char *value) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0);
}
static inline void pst_set_times(X509 *certificate, long after, long before) {
    X509_gmtime_adj(X509_getm_notBefore(certificate), after);
    X509_gmtime_adj(X509_getm_notAfter(certificate), before);
}
