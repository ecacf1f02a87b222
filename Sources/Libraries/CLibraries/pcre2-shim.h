// PCRE2 for octets. With the macro Swift sees the names with their suffix: pcre2_match_8.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
