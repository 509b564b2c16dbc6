#include "keys/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/json.h"
#include "base/limits.h"

/* The file IDENTITY.json is one JSON object with exactly these members, all strings but version, loaded and refreshed:
 * version, identity, issuer, url (or null), etag (or null), loaded, refreshed (integers, microseconds), keys, digest.
 * The digest is SHA-256, as hexadecimal digits, over the others in this order. An integer enters it as 8 bytes, most
 * significant first; a string as its length, in that form, and its bytes; null as the length 2^64-1. */
#define FORMAT_VERSION 1
#define ABSENT (~(apr_uint64_t)0)

/* Bytes of a file. JSON makes up to 6 bytes of one (\u0001); the rest is for the other members. */
#define FILE_MAX (6 * MCP_LIMIT_DOCUMENT + 65536)

#define DIGITS 64    /* hexadecimal, of SHA-256 */
#define NEW_DIR 0600 /* the mode by which a directory just made is known: nobody's has read and write without search */

static const char *text_reason(const char *path, const char *what, apr_pool_t *p)
{
    return apr_pstrcat(p, path, ": ", what, NULL);
}

static const char *error_reason(const char *path, int error, apr_pool_t *p)
{
    char why[80];

    return text_reason(path, apr_strerror(error, why, sizeof(why)), p);
}

/* --- the entry */

static int is_identity(const char *text)
{
    return text && strlen(text) == DIGITS && strspn(text, "0123456789abcdef") == DIGITS;
}

static int is_time(apr_time_t wall)
{
    return wall >= 0 && wall <= apr_time_from_sec((apr_time_t)MCP_LIMIT_TIME);
}

/* What writer and reader hold every entry to. */
static const char *entry_judge(const mcp_keystore_entry_t *entry)
{
    if (!is_identity(entry->identity) || !entry->issuer || !entry->text) {
        return "the entry is not complete";
    }
    if (!is_time(entry->loaded_wall) || !is_time(entry->refresh_wall)) {
        return "the entry has a time out of range";
    }
    if (entry->len > MCP_LIMIT_DOCUMENT) {
        return "the keys are too long";
    }
    return memchr(entry->text, 0, entry->len) ? "the keys are no text" : NULL;
}

static int add_number(EVP_MD_CTX *ctx, apr_uint64_t number)
{
    unsigned char bytes[8];
    int i;

    for (i = 7; i >= 0; i--, number >>= 8) {
        bytes[i] = (unsigned char)number;
    }
    return EVP_DigestUpdate(ctx, bytes, sizeof(bytes)) == 1;
}

static int add_bytes(EVP_MD_CTX *ctx, const char *bytes, apr_size_t len)
{
    return add_number(ctx, len) && EVP_DigestUpdate(ctx, bytes, len) == 1;
}

static int add_text(EVP_MD_CTX *ctx, const char *text)
{
    return text ? add_bytes(ctx, text, strlen(text)) : add_number(ctx, ABSENT);
}

/* The digest over the entry, in p; NULL when OpenSSL fails. */
static const char *entry_digest(const mcp_keystore_entry_t *entry, apr_pool_t *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char hash[DIGITS / 2];
    int good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && add_number(ctx, FORMAT_VERSION) &&
               add_text(ctx, entry->identity) && add_text(ctx, entry->issuer) && add_text(ctx, entry->url) &&
               add_text(ctx, entry->etag) && add_number(ctx, (apr_uint64_t)entry->loaded_wall) &&
               add_number(ctx, (apr_uint64_t)entry->refresh_wall) && add_bytes(ctx, entry->text, entry->len) &&
               EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (!good) {
        ERR_clear_error();
        return NULL;
    }
    return apr_pescape_hex(p, hash, sizeof(hash), 0);
}

/* The entry as the text of a file. */
static const char *entry_dump(char **pdata, apr_size_t *plen, const mcp_keystore_entry_t *entry, apr_pool_t *p)
{
    const char *digest = entry_digest(entry, p);
    json_t *json;

    if (!digest) {
        return "no digest could be made";
    }
    json = json_pack("{s:i, s:s, s:s, s:s?, s:s?, s:I, s:I, s:s%, s:s}", "version", FORMAT_VERSION, "identity",
                     entry->identity, "issuer", entry->issuer, "url", entry->url, "etag", entry->etag, "loaded",
                     (json_int_t)entry->loaded_wall, "refreshed", (json_int_t)entry->refresh_wall, "keys", entry->text,
                     entry->len, "digest", digest);
    *plen = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    if (*plen && *plen <= FILE_MAX) {
        *pdata = apr_palloc(p, *plen);
        json_dumpb(json, *pdata, *plen, JSON_COMPACT);
    }
    json_decref(json);
    if (!*plen) {
        return "the entry is no UTF-8";
    }
    return *plen > FILE_MAX ? "the entry is too long" : NULL;
}

static int is_text_or_null(const char **ptext, const json_t *json)
{
    *ptext = json_string_value(json);
    return *ptext || json_is_null(json);
}

/* The members of the object, borrowed from it. */
static const char *entry_unpack(mcp_keystore_entry_t *entry, const char **pdigest, json_t *json)
{
    json_int_t number, loaded, refreshed;
    json_t *url, *etag;
    size_t len;

    if (json_integer_value(json_object_get(json, "version")) != FORMAT_VERSION) { /* 0 when it is none */
        return "is of an unknown version";
    }
    if (json_unpack_ex(json, NULL, JSON_STRICT, "{s:I, s:s, s:s, s:o, s:o, s:I, s:I, s:s%, s:s}", "version", &number,
                       "identity", &entry->identity, "issuer", &entry->issuer, "url", &url, "etag", &etag, "loaded",
                       &loaded, "refreshed", &refreshed, "keys", &entry->text, &len, "digest", pdigest) ||
        !is_text_or_null(&entry->url, url) || !is_text_or_null(&entry->etag, etag)) {
        return "is not of the form of an entry";
    }
    entry->loaded_wall = loaded;
    entry->refresh_wall = refreshed;
    entry->len = len;
    return NULL;
}

static const char *digest_judge(const mcp_keystore_entry_t *entry, const char *claimed, apr_pool_t *p)
{
    const char *digest = entry_digest(entry, p);

    if (!digest) {
        return "no digest could be made";
    }
    return strlen(claimed) == DIGITS && !CRYPTO_memcmp(claimed, digest, DIGITS) ? NULL : "the digest does not fit";
}

/* Everything about the contents; the entry borrows from ptemp. */
static const char *entry_parse(mcp_keystore_entry_t *entry, const char *data, apr_size_t len, apr_pool_t *ptemp)
{
    const char *digest, *reason;
    json_t *json;
    mcp_status_t status = mcp_json_parse_object(&json, data, len, 1, ptemp);

    if (status != MCP_OK) {
        return apr_psprintf(ptemp, "is no strict JSON object (%s)", mcp_status_info(status)->slug);
    }
    reason = entry_unpack(entry, &digest, json);
    if (!reason) {
        reason = entry_judge(entry);
    }
    return reason ? reason : digest_judge(entry, digest, ptemp);
}

static const char *entry_match(const mcp_keystore_entry_t *entry, const char *identity, const char *issuer,
                               apr_time_t wall)
{
    if (CRYPTO_memcmp(entry->identity, identity, DIGITS)) {
        return "belongs to another source of keys";
    }
    if (strcmp(entry->issuer, issuer)) {
        return "belongs to another issuer";
    }
    return entry->loaded_wall > wall ? "was loaded in the future" : NULL;
}

static mcp_keystore_entry_t *entry_copy(const mcp_keystore_entry_t *entry, apr_pool_t *p)
{
    mcp_keystore_entry_t *copy = apr_pmemdup(p, entry, sizeof(*entry));

    copy->identity = apr_pstrdup(p, entry->identity);
    copy->issuer = apr_pstrdup(p, entry->issuer);
    copy->url = apr_pstrdup(p, entry->url);
    copy->etag = apr_pstrdup(p, entry->etag);
    copy->text = apr_pstrmemdup(p, entry->text, entry->len);
    return copy;
}

/* --- the directory */

static const char *owner_judge(const struct stat *info, uid_t user)
{
    if (info->st_uid != 0 && info->st_uid != user) {
        return "belongs neither to root nor to the server's user";
    }
    return info->st_mode & (S_IWGRP | S_IWOTH) ? "is writable by group or others" : NULL;
}

/* The directory's path so that O_NOFOLLOW sees its last name: "link/" and "link/." would be followed. */
static const char *dir_path(const mcp_keystore_t *store, apr_pool_t *p)
{
    char *path = apr_pstrdup(p, store->dir);
    apr_size_t len = strlen(path);

    while (len > 1 && (path[len - 1] == '/' || (path[len - 1] == '.' && path[len - 2] == '/'))) {
        path[--len] = '\0';
    }
    return path;
}

/* Opens the directory and checks it. NULL, or the reason with *pfd = -1. */
static const char *dir_open(int *pfd, const mcp_keystore_t *store, apr_pool_t *p)
{
    const char *path = dir_path(store, p), *reason;
    struct stat info;

    *pfd = -1;
    if (*path != '/') {
        return text_reason(path, "is not an absolute path", p);
    }
    *pfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*pfd < 0) {
        return error_reason(path, errno, p);
    }
    reason = fstat(*pfd, &info) ? "cannot be examined" : owner_judge(&info, store->user);
    if (reason) {
        close(*pfd);
        *pfd = -1;
        return text_reason(path, reason, p);
    }
    return NULL;
}

/* Gives the directory just made its mode and owner. Whoever may write to the directory above could have put another one
 * of root's in its place, which must not be given away. */
static const char *dir_finish(int fd, const mcp_keystore_t *store, apr_pool_t *p)
{
    struct stat info;

    if (fstat(fd, &info) || info.st_uid != geteuid() || (info.st_mode & 0777) != NEW_DIR) {
        return text_reason(store->dir, "is not as it was made", p);
    }
    if (fchmod(fd, 0700) || (geteuid() == 0 && fchown(fd, store->user, (gid_t)-1))) {
        return error_reason(store->dir, errno, p);
    }
    return NULL;
}

const char *mcp_keystore_prepare(const mcp_keystore_t *store, apr_pool_t *p)
{
    const char *path = dir_path(store, p), *reason;
    int fd, made = *path == '/' && mkdir(path, NEW_DIR) == 0;

    if (*path == '/' && !made && errno != EEXIST) {
        return error_reason(path, errno, p);
    }
    reason = dir_open(&fd, store, p);
    if (!reason && made) {
        reason = dir_finish(fd, store, p);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (reason && made) {
        rmdir(path);
    }
    return reason;
}

/* --- the file */

static int file_fill(int fd, const char *data, apr_size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : EIO;
        }
        data += n;
        len -= (apr_size_t)n;
    }
    return fsync(fd) ? errno : 0;
}

/* Puts a file with this content in the place of name. Returns 0 or errno. */
static int file_replace(int dir, const char *name, const char *temp, const char *data, apr_size_t len)
{
    int fd, error;

    if (unlinkat(dir, temp, 0) && errno != ENOENT) {
        return errno;
    }
    fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    error = file_fill(fd, data, len);
    close(fd);
    if (!error && renameat(dir, temp, dir, name)) {
        error = errno;
    }
    if (error) {
        unlinkat(dir, temp, 0);
        return error;
    }
    fsync(dir); /* should it fail, a crash brings back the old file, and that is whole */
    return 0;
}

/* The new file is named after process and thread: two sections may describe the same source of keys. */
static const char *entry_save(const mcp_keystore_t *store, const mcp_keystore_entry_t *entry, const char *data,
                              apr_size_t len, apr_pool_t *p)
{
    const char *name = apr_pstrcat(p, entry->identity, ".json", NULL);
    const char *temp =
        apr_psprintf(p, "%s.%ld-%lx.tmp", entry->identity, (long)getpid(), (unsigned long)pthread_self());
    int dir, error;
    const char *reason = dir_open(&dir, store, p);

    if (reason) {
        return reason;
    }
    error = file_replace(dir, name, temp, data, len);
    close(dir);
    return error ? error_reason(apr_pstrcat(p, store->dir, "/", name, NULL), error, p) : NULL;
}

const char *mcp_keystore_write(const mcp_keystore_t *store, const mcp_keystore_entry_t *entry, apr_pool_t *p)
{
    const char *reason = entry_judge(entry);
    apr_pool_t *ptemp;
    apr_size_t len;
    char *data;

    if (reason) {
        return text_reason(store->dir, reason, p);
    }
    apr_pool_create(&ptemp, p);
    reason = entry_dump(&data, &len, entry, ptemp);
    reason = reason ? text_reason(store->dir, reason, p) : entry_save(store, entry, data, len, p);
    apr_pool_destroy(ptemp);
    return reason;
}

/* Reads the size bytes that the file is said to have; anything else is an error. */
static const char *file_slurp(int fd, char *data, apr_size_t size)
{
    apr_size_t len = 0;
    ssize_t n;

    do {
        n = read(fd, data + len, size - len);
        len += n > 0 ? (apr_size_t)n : 0;
    } while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
    return len == size ? NULL : "cannot be read whole";
}

static const char *file_read(char **pdata, apr_size_t *plen, int fd, uid_t user, apr_pool_t *p)
{
    const char *reason;
    struct stat info;

    if (fstat(fd, &info)) {
        return "cannot be examined";
    }
    if (!S_ISREG(info.st_mode)) {
        return "is not a regular file";
    }
    reason = owner_judge(&info, user);
    if (reason) {
        return reason;
    }
    if (info.st_size > FILE_MAX) {
        return "is too long";
    }
    *plen = (apr_size_t)info.st_size;
    *pdata = apr_palloc(p, *plen + 1);
    return file_slurp(fd, *pdata, *plen);
}

/* Opens the file; *pfd is -1 without a reason when there is none. */
static const char *file_open(int *pfd, const mcp_keystore_t *store, const char *name, apr_pool_t *p)
{
    int dir, error;
    const char *reason = dir_open(&dir, store, p);

    *pfd = -1;
    if (reason) {
        return reason;
    }
    /* Not blocking: opening a named pipe would wait for its writer. */
    *pfd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    error = errno;
    close(dir);
    if (*pfd < 0 && error != ENOENT) {
        return error_reason(apr_pstrcat(p, store->dir, "/", name, NULL), error, p);
    }
    return NULL;
}

const char *mcp_keystore_read(mcp_keystore_entry_t **pentry, const mcp_keystore_t *store, const char *identity,
                              const char *issuer, apr_time_t wall, apr_pool_t *p)
{
    mcp_keystore_entry_t entry;
    const char *name, *reason;
    apr_pool_t *ptemp;
    apr_size_t len;
    char *data;
    int fd;

    *pentry = NULL;
    if (!is_identity(identity)) {
        return text_reason(store->dir, "no file can have the name that was asked for", p);
    }
    name = apr_pstrcat(p, identity, ".json", NULL);
    reason = file_open(&fd, store, name, p);
    if (fd < 0) {
        return reason;
    }
    apr_pool_create(&ptemp, p);
    reason = file_read(&data, &len, fd, store->user, ptemp);
    close(fd);
    if (!reason) {
        reason = entry_parse(&entry, data, len, ptemp);
    }
    if (!reason) {
        reason = entry_match(&entry, identity, issuer, wall);
    }
    if (!reason) {
        *pentry = entry_copy(&entry, p);
    }
    apr_pool_destroy(ptemp);
    return reason ? apr_pstrcat(p, store->dir, "/", name, ": ", reason, NULL) : NULL;
}
