/* What the tests look up in a JSON text. */
#ifndef MEMBER_H
#define MEMBER_H

#include "base/jsontext.h"

/* The value of the member of that name in an object; returns 0 if absent. */
static int member_find(mcp_span_t *value, mcp_span_t object, const char *name)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key;

    if (mcp_jsonwalk_open(&walk, object, NULL) != '{') {
        return 0;
    }
    while (mcp_jsonwalk_next(&key, value, &walk)) {
        if (mcp_jsontext_is(key, name)) {
            return 1;
        }
    }
    return 0;
}

#endif
