#include "base/base64url.h"

/* An entry holds the alphabets that know the character, and its value; 0: no character at all. */
#define URL 0x40
#define STD 0x80
#define ALL (URL | STD)
#define VALUE(entry) ((entry)&0x3f)

/* clang-format off */
static const unsigned char table[256] = {
    ['A'] = ALL | 0,  ['B'] = ALL | 1,  ['C'] = ALL | 2,  ['D'] = ALL | 3,  ['E'] = ALL | 4,  ['F'] = ALL | 5,
    ['G'] = ALL | 6,  ['H'] = ALL | 7,  ['I'] = ALL | 8,  ['J'] = ALL | 9,  ['K'] = ALL | 10, ['L'] = ALL | 11,
    ['M'] = ALL | 12, ['N'] = ALL | 13, ['O'] = ALL | 14, ['P'] = ALL | 15, ['Q'] = ALL | 16, ['R'] = ALL | 17,
    ['S'] = ALL | 18, ['T'] = ALL | 19, ['U'] = ALL | 20, ['V'] = ALL | 21, ['W'] = ALL | 22, ['X'] = ALL | 23,
    ['Y'] = ALL | 24, ['Z'] = ALL | 25,
    ['a'] = ALL | 26, ['b'] = ALL | 27, ['c'] = ALL | 28, ['d'] = ALL | 29, ['e'] = ALL | 30, ['f'] = ALL | 31,
    ['g'] = ALL | 32, ['h'] = ALL | 33, ['i'] = ALL | 34, ['j'] = ALL | 35, ['k'] = ALL | 36, ['l'] = ALL | 37,
    ['m'] = ALL | 38, ['n'] = ALL | 39, ['o'] = ALL | 40, ['p'] = ALL | 41, ['q'] = ALL | 42, ['r'] = ALL | 43,
    ['s'] = ALL | 44, ['t'] = ALL | 45, ['u'] = ALL | 46, ['v'] = ALL | 47, ['w'] = ALL | 48, ['x'] = ALL | 49,
    ['y'] = ALL | 50, ['z'] = ALL | 51,
    ['0'] = ALL | 52, ['1'] = ALL | 53, ['2'] = ALL | 54, ['3'] = ALL | 55, ['4'] = ALL | 56, ['5'] = ALL | 57,
    ['6'] = ALL | 58, ['7'] = ALL | 59, ['8'] = ALL | 60, ['9'] = ALL | 61,
    ['+'] = STD | 62, ['/'] = STD | 63,
    ['-'] = URL | 62, ['_'] = URL | 63,
};
/* clang-format on */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The last 2 or 3 characters, whose unused bits must be zero. */
static int tail_decode(unsigned char **pout, const unsigned char *in, apr_size_t len, unsigned which)
{
    unsigned seen = which & table[in[0]] & table[in[1]];
    unsigned bits = (unsigned)VALUE(table[in[0]]) << 12 | (unsigned)VALUE(table[in[1]]) << 6;

    if (len == 3) {
        seen &= table[in[2]];
        bits |= VALUE(table[in[2]]);
    }
    if (!seen || (bits & (len == 3 ? 0x3 : 0x3ff))) {
        return 0;
    }
    *(*pout)++ = (unsigned char)(bits >> 10);
    if (len == 3) {
        *(*pout)++ = (unsigned char)(bits >> 2);
    }
    return 1;
}

static int decode(unsigned char *out, apr_size_t *poutlen, const char *text, apr_size_t len, unsigned which)
{
    const unsigned char *in = (const unsigned char *)text;
    const unsigned char *end = in + len / 4 * 4;
    unsigned char *start = out;
    unsigned seen = which;

    *poutlen = 0;
    for (; in < end; in += 4) {
        unsigned a = table[in[0]], b = table[in[1]], c = table[in[2]], d = table[in[3]];
        unsigned bits = VALUE(a) << 18 | VALUE(b) << 12 | VALUE(c) << 6 | VALUE(d);

        seen &= a & b & c & d;
        *out++ = (unsigned char)(bits >> 16);
        *out++ = (unsigned char)(bits >> 8);
        *out++ = (unsigned char)bits;
    }
    if (!seen || len % 4 == 1 || (len % 4 && !tail_decode(&out, in, len % 4, which))) {
        return 0;
    }
    *poutlen = (apr_size_t)(out - start);
    return 1;
}

int mcp_base64url_decode(unsigned char *out, apr_size_t *poutlen, const char *text, apr_size_t len)
{
    return decode(out, poutlen, text, len, URL);
}

int mcp_base64_decode(unsigned char *out, apr_size_t *poutlen, const char *text, apr_size_t len)
{
    *poutlen = 0;
    if (len % 4) {
        return 0;
    }
    if (len && text[len - 1] == '=') {
        len -= text[len - 2] == '=' ? 2 : 1;
    }
    return decode(out, poutlen, text, len, STD);
}

void mcp_base64url_encode(char *out, const unsigned char *data, apr_size_t len)
{
    for (; len >= 3; len -= 3, data += 3) {
        *out++ = alphabet[data[0] >> 2];
        *out++ = alphabet[(data[0] & 0x03) << 4 | data[1] >> 4];
        *out++ = alphabet[(data[1] & 0x0f) << 2 | data[2] >> 6];
        *out++ = alphabet[data[2] & 0x3f];
    }
    if (len) {
        *out++ = alphabet[data[0] >> 2];
        *out++ = alphabet[(data[0] & 0x03) << 4 | (len == 2 ? data[1] >> 4 : 0)];
    }
    if (len == 2) {
        *out++ = alphabet[(data[1] & 0x0f) << 2];
    }
    *out = '\0';
}
