/* Strict base64 in both alphabets: one text for one value. */
#ifndef MCP_BASE64URL_H
#define MCP_BASE64URL_H

#include <apr.h>

/* Bytes that decoding len characters needs at most. */
#define MCP_BASE64_DECODED_MAX(len) ((len) / 4 * 3 + 3)
/* Characters, without NUL, that encoding len bytes gives. */
#define MCP_BASE64URL_ENCODED(len) (((len)*4 + 2) / 3)

/* Decodes unpadded base64url (RFC 4648 section 5, RFC 7515 appendix C). out has room for MCP_BASE64_DECODED_MAX(len)
 * bytes. Returns 1, or 0 for any other character, padding, a length of 1 modulo 4, or unused bits that are not zero. */
int mcp_base64url_decode(unsigned char *out, apr_size_t *poutlen, const char *text, apr_size_t len);

/* The same for padded base64 (RFC 4648 section 4): complete padding is required. */
int mcp_base64_decode(unsigned char *out, apr_size_t *poutlen, const char *text, apr_size_t len);

/* Writes MCP_BASE64URL_ENCODED(len) characters and a NUL to out. */
void mcp_base64url_encode(char *out, const unsigned char *data, apr_size_t len);

#endif
