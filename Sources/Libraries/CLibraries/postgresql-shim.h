#include <postgresql/libpq-fe.h>

/* PG_DIAG_SQLSTATE is a character, which is not imported. */
static inline const char *postgresql_state(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}
