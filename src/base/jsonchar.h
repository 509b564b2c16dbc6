/* The characters of JSON (RFC 8259): white space, and in strings (section 7) escapes and the UTF-8 they stand for. */
#ifndef MCP_JSONCHAR_H
#define MCP_JSONCHAR_H

#include <apr.h>
#include <string.h>

/* Steps over white space (section 2). */
const char *mcp_jsonchar_space(const char *s, const char *end);

/* Steps over the escape at s (a backslash), surrogate pairs in one step; never beyond end. *punit is the UTF-16 code unit of
 * a \u escape, of a pair the first; -1 for an escape of one letter. Returns NULL when there is no such escape. */
const char *mcp_jsonchar_escape(int *punit, const char *s, const char *end);

/* Does this code unit, where mcp_jsonchar_escape has stepped from s to next, stand for half a character (a lone surrogate)? */
int mcp_jsonchar_is_half(int unit, const char *s, const char *next);

/* Decodes the character or escape at *ps (before end) and steps over it, returns the number of bytes: 4 at most, and never
 * more than were read. A lone surrogate becomes three bytes that are no UTF-8; what is no escape is taken as it stands. */
int mcp_jsonchar_decode(char out[4], const char **ps, const char *end);

/* The number of bytes of the well-formed UTF-8 sequence at s (before end; Unicode table 3-7), 0 when there is none. */
int mcp_jsonchar_sequence(const char *s, const char *end);

/* Does an escape of this one letter stand for a character? */
static APR_INLINE int mcp_jsonchar_is_letter(char c)
{
    return c == '"' || c == 'n' || c == '\\' || c == '/' || c == 't' || c == 'r' || c == 'b' || c == 'f';
}

/* Steps over the characters at s that stand for themselves in every string: ASCII without quote, backslash and controls. Most
 * of most texts is such, so it looks at eight of them at once, and where it is called. */
static APR_INLINE const char *mcp_jsonchar_plain(const char *s, const char *end)
{
    const apr_uint64_t ones = APR_UINT64_C(0x0101010101010101), high = ones * 0x80;
    apr_uint64_t eight, others;

    /* Taking 1 from the byte that was made 0, or 0x20 from a control, sets its highest bit. A borrow may set that of the bytes
     * above as well, never below: the first one is right. */
    for (; end - s >= 8; s += 8) {
        memcpy(&eight, s, 8);
        others =
            (eight | (eight - ones * 0x20) | ((eight ^ ones * '"') - ones) | ((eight ^ ones * '\\') - ones)) & high;
        if (others) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return s + __builtin_ctzll(others) / 8;
#else
            break;
#endif
        }
    }
    while (s < end && (unsigned char)*s >= 0x20 && (unsigned char)*s < 0x80 && *s != '"' && *s != '\\') {
        s++;
    }
    return s;
}

#endif
