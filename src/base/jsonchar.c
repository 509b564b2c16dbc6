#include "base/jsonchar.h"

#include <apr.h>
#include <string.h>

const char *mcp_jsonchar_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')) {
        s++;
    }
    return s;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The UTF-16 code unit that a \u escape at s stands for, -1 when there is none. */
static int unit_at(const char *s, const char *end)
{
    int i, digit, unit = 0;

    if (end - s < 6 || s[0] != '\\' || s[1] != 'u') {
        return -1;
    }
    for (i = 2; i < 6; i++) {
        digit = hex(s[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

static int is_high(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static int is_low(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

const char *mcp_jsonchar_escape(int *punit, const char *s, const char *end)
{
    if (end - s >= 2 && mcp_jsonchar_is_letter(s[1])) {
        *punit = -1;
        return s + 2;
    }
    *punit = unit_at(s, end);
    return *punit < 0 ? NULL : s + (is_high(*punit) && is_low(unit_at(s + 6, end)) ? 12 : 6);
}

int mcp_jsonchar_is_half(int unit, const char *s, const char *next)
{
    return (is_high(unit) || is_low(unit)) && next - s == 6;
}

/* Writes the code point as UTF-8, returns the number of bytes. */
static int utf8(char out[4], int point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

int mcp_jsonchar_decode(char out[4], const char **ps, const char *end)
{
    static const char letters[] = "b\bf\fn\nr\rt\t";
    const char *s = *ps, *letter;
    int unit;

    if (*s != '\\') {
        *ps = s + 1;
        out[0] = *s;
        return 1;
    }
    unit = unit_at(s, end);
    if (unit >= 0) {
        int low = is_high(unit) ? unit_at(s + 6, end) : -1;

        *ps = s + (is_low(low) ? 12 : 6);
        return utf8(out, is_low(low) ? 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00) : unit);
    }
    if (end - s < 2) {
        *ps = s + 1;
        out[0] = *s;
        return 1;
    }
    *ps = s + 2;
    for (letter = letters; *letter && *letter != s[1]; letter += 2)
        ;
    out[0] = *letter ? letter[1] : s[1];
    return 1;
}

int mcp_jsonchar_sequence(const char *text, const char *end)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xBF;
    int i, len;

    if (*s < 0x80) {
        return 1;
    }
    len = *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;
    if (end - text < len) {
        return 0;
    }
    if (*s == 0xE0) {
        low = 0xA0;
    }
    else if (*s == 0xED) {
        high = 0x9F;
    }
    else if (*s == 0xF0) {
        low = 0x90;
    }
    else if (*s == 0xF4) {
        high = 0x8F;
    }
    for (i = 1; i < len; i++) {
        if (s[i] < low || s[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return len;
}
