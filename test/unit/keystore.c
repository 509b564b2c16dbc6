#include "keys/keystore.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "tap.h"

#define ID "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define OTHER_ID "ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define ISSUER "https://as.example/MARK"
#define NOW ((apr_time_t)1700000000123456)
#define NOBODY ((uid_t)65534)
#define STRANGER ((uid_t)54321)
#define FILE_MAX (6 * MCP_LIMIT_DOCUMENT + 65536)

static const mcp_keystore_entry_t usual = { .identity = ID,
                                            .issuer = ISSUER,
                                            .url = "https://keys.example/MARK",
                                            .etag = "W/\"MARK\"",
                                            .loaded_wall = NOW,
                                            .refresh_wall = NOW + 3600000000,
                                            .text = "{\"keys\":[\"MARK\"]}",
                                            .len = 17 };

/* --- files */

typedef struct place_t {
    mcp_keystore_t store;
    const char *file; /* of ID */
} place_t;

/* A step without which what follows would test something else. */
#define MUST(call) \
    do { \
        if (call) { \
            printf("Bail out! %s: %s\n", #call, strerror(errno)); \
            exit(1); \
        } \
    } while (0)

/* A store in a new directory below the program's own, which everybody may pass through. */
static place_t place_make(apr_pool_t *p, const char *base, const char *name)
{
    place_t place = { { apr_pstrcat(p, base, "/", name, NULL), geteuid() }, NULL };

    place.file = apr_pstrcat(p, place.store.dir, "/" ID ".json", NULL);
    if (mkdir(place.store.dir, 0700)) {
        printf("Bail out! %s: %s\n", place.store.dir, strerror(errno));
        exit(1);
    }
    return place;
}

static void put(const char *file, const void *data, apr_size_t len)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd)) {
        printf("Bail out! %s: %s\n", file, strerror(errno));
        exit(1);
    }
}

static char *slurp(apr_size_t *plen, const char *file, apr_pool_t *p)
{
    int fd = open(file, O_RDONLY);
    struct stat info;
    char *data;

    if (fd < 0 || fstat(fd, &info)) {
        printf("Bail out! %s: %s\n", file, strerror(errno));
        exit(1);
    }
    *plen = (apr_size_t)info.st_size;
    data = apr_pcalloc(p, *plen + 1);
    *plen = (apr_size_t)read(fd, data, *plen);
    close(fd);
    return data;
}

/* How many names are in the directory. */
static int names_in(const char *dir, apr_pool_t *p)
{
    apr_finfo_t info;
    apr_dir_t *handle;
    int n = 0;

    if (apr_dir_open(&handle, dir, p) != APR_SUCCESS) {
        return -1;
    }
    while (apr_dir_read(&info, APR_FINFO_NAME, handle) == APR_SUCCESS) {
        n += strcmp(info.name, ".") && strcmp(info.name, "..");
    }
    apr_dir_close(handle);
    return n;
}

static int mode_of(const char *path)
{
    struct stat info;

    return lstat(path, &info) ? -1 : (int)(info.st_mode & 07777);
}

static uid_t owner_of(const char *path)
{
    struct stat info;

    return lstat(path, &info) ? (uid_t)-1 : info.st_uid;
}

static int open_descriptors(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

/* What f says in a process without privileges. */
static int as_nobody(int (*f)(const place_t *place, apr_pool_t *p), const place_t *place, apr_pool_t *p)
{
    int status = -1;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (!child) {
        if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY))) {
            _exit(99);
        }
        _exit(f(place, p));
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- entries */

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static int same(const mcp_keystore_entry_t *a, const mcp_keystore_entry_t *b)
{
    return a && same_text(a->identity, b->identity) && same_text(a->issuer, b->issuer) && same_text(a->url, b->url) &&
           same_text(a->etag, b->etag) && a->loaded_wall == b->loaded_wall && a->refresh_wall == b->refresh_wall &&
           a->len == b->len && !memcmp(a->text, b->text, a->len) && a->text[a->len] == '\0';
}

static const char *read_of(mcp_keystore_entry_t **pentry, const place_t *place, apr_pool_t *p)
{
    return mcp_keystore_read(pentry, &place->store, ID, ISSUER, NOW, p);
}

/* Is the file there and refused for this, without a word of it in the reason? */
static int refused(const place_t *place, const char *ground, apr_pool_t *p)
{
    mcp_keystore_entry_t *entry = (mcp_keystore_entry_t *)p;
    const char *reason;

    alarm(20); /* whoever waits for a named pipe is to fail */
    reason = read_of(&entry, place, p);
    alarm(0);
    if (entry || !reason || !strstr(reason, ground) || !strstr(reason, place->store.dir) || strstr(reason, "MARK")) {
        printf("# %s: %s, not %s\n", entry ? "accepted" : "refused", reason ? reason : "no reason", ground);
        return 0;
    }
    return 1;
}

static int accepted(const place_t *place, const mcp_keystore_entry_t *want, apr_pool_t *p)
{
    mcp_keystore_entry_t *entry;
    const char *reason = read_of(&entry, place, p);

    if (reason) {
        printf("# %s\n", reason);
    }
    return !reason && same(entry, want);
}

static int written(const place_t *place, const mcp_keystore_entry_t *entry, apr_pool_t *p)
{
    const char *reason = mcp_keystore_write(&place->store, entry, p);

    if (reason) {
        printf("# %s\n", reason);
    }
    return !reason;
}

/* --- the digest, written a second time */

static void seal_number(EVP_MD_CTX *ctx, json_int_t number)
{
    unsigned char bytes[8];
    int i;

    for (i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((apr_uint64_t)number >> (56 - 8 * i));
    }
    EVP_DigestUpdate(ctx, bytes, 8);
}

/* Gives the object the digest that is due to it, however wrong it is otherwise. */
static void seal(json_t *json)
{
    static const char *const names[] = {
        "version", "identity", "issuer", "url", "etag", "loaded", "refreshed", "keys"
    };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char hash[32];
    char hex[65];
    int i;

    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    for (i = 0; i < 8; i++) {
        const json_t *member = json_object_get(json, names[i]);

        if (json_is_string(member)) {
            seal_number(ctx, (json_int_t)json_string_length(member));
            EVP_DigestUpdate(ctx, json_string_value(member), json_string_length(member));
        }
        else {
            seal_number(ctx, json_is_integer(member) ? json_integer_value(member) : -1);
        }
    }
    EVP_DigestFinal_ex(ctx, hash, NULL);
    EVP_MD_CTX_free(ctx);
    for (i = 0; i < 32; i++) {
        apr_snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    json_object_set_new(json, "digest", json_string(hex));
}

static json_t *object_of(const mcp_keystore_entry_t *entry)
{
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:s?, s:s?, s:I, s:I, s:s%}", "version", 1, "identity", entry->identity, "issuer",
                  entry->issuer, "url", entry->url, "etag", entry->etag, "loaded", (json_int_t)entry->loaded_wall,
                  "refreshed", (json_int_t)entry->refresh_wall, "keys", entry->text, entry->len);

    seal(json);
    return json;
}

static void put_object(const place_t *place, const json_t *json)
{
    char *data = json_dumps(json, JSON_COMPACT);

    put(place->file, data, strlen(data));
    free(data);
}

/* The usual entry in which one member is another (NULL: is not there); the digest fits that. */
static void put_changed(const place_t *place, const char *name, json_t *value)
{
    json_t *json = object_of(&usual);

    if (value) {
        json_object_set_new(json, name, value);
    }
    else {
        json_object_del(json, name);
    }
    if (strcmp(name, "digest")) {
        seal(json);
    }
    put_object(place, json);
    json_decref(json);
}

/* --- the tests */

static void round_trip(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "round");
    mcp_keystore_entry_t entry = usual, *got = (mcp_keystore_entry_t *)p;
    static const char piece[] = "\"\\\n\t\r\b/\x01\x1f\x7f\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91\xE2\x80\xA8";
    char *text = apr_palloc(p, MCP_LIMIT_DOCUMENT + 1);
    apr_size_t i, len;
    mode_t mask;

    OK(!read_of(&got, &place, p) && !got, "McpOAuthKeyStore: a missing file is neither an entry nor an error");
    mask = umask(0);
    OK(written(&place, &usual, p) && accepted(&place, &usual, p), "R02 what was written is read");
    umask(mask);
    OK(mode_of(place.file) == 0600, "McpOAuthKeyStore: mode 0600, whatever the umask");
    OK(names_in(place.store.dir, p) == 1, "McpOAuthKeyStore: no other file is left");

    entry.url = entry.etag = NULL;
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "no URL, no entity tag");
    entry.url = entry.etag = "";
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "empty ones are not the same as none");
    entry.text = "";
    entry.len = 0;
    entry.loaded_wall = entry.refresh_wall = 0;
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "empty text, time zero");
    entry.text = "abc";
    entry.len = 2;
    OK(written(&place, &entry, p) && !read_of(&got, &place, p) && got->len == 2 && !strcmp(got->text, "ab"),
       "the text ends at its length, not at a NUL");

    for (i = 0; i + sizeof(piece) - 1 <= MCP_LIMIT_DOCUMENT; i += sizeof(piece) - 1) {
        memcpy(text + i, piece, sizeof(piece) - 1);
    }
    memset(text + i, 'x', MCP_LIMIT_DOCUMENT + 1 - i);
    entry.text = text;
    entry.len = MCP_LIMIT_DOCUMENT;
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "1 MiB of escapes and letters outside ASCII");
    entry.len = MCP_LIMIT_DOCUMENT + 1;
    OK(mcp_keystore_write(&place.store, &entry, p) != NULL, "one byte more is not written");
    memset(text, 1, MCP_LIMIT_DOCUMENT);
    entry.len = MCP_LIMIT_DOCUMENT;
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "1 MiB of what JSON makes longest");
    slurp(&len, place.file, p);
    OK(len > 6 * MCP_LIMIT_DOCUMENT && len <= FILE_MAX, "fits the ceiling of a file");
}

static void not_written(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "notwritten");
    mcp_keystore_entry_t entry;
    apr_time_t latest = apr_time_from_sec((apr_time_t)MCP_LIMIT_TIME);
    static const char *const names[] = { "",
                                         "../" ID,
                                         "0112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef",
                                         ID "0",
                                         ID "/x",
                                         ID ".",
                                         "A0112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef",
                                         "/0112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef",
                                         "g0112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef" };
    char *text = apr_palloc(p, MCP_LIMIT_DOCUMENT), *url = apr_palloc(p, 65536 + 1);
    mcp_keystore_entry_t *got = (mcp_keystore_entry_t *)p;
    const char *reason;
    unsigned i;

    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        entry = usual;
        entry.identity = names[i];
        OK(mcp_keystore_write(&place.store, &entry, p), "McpOAuthKeyStore: \"%s\" becomes no file name", names[i]);
        OK(mcp_keystore_read(&got, &place.store, names[i], ISSUER, NOW, p) && !got, "nor is it looked for");
    }
    OK(mcp_keystore_read(&got, &place.store, NULL, ISSUER, NOW, p) && !got, "nor is nothing");
    entry = usual;
    entry.issuer = NULL;
    reason = mcp_keystore_write(&place.store, &entry, p);
    OK(reason && strstr(reason, "complete"), "no issuer, no file");
    entry = usual;
    entry.text = "{\"k\0\":1}";
    entry.len = 8;
    OK(mcp_keystore_write(&place.store, &entry, p), "keys with a NUL are not written");
    entry.text = "{\"\xC3\":1}";
    OK(mcp_keystore_write(&place.store, &entry, p), "nor keys that are no UTF-8");
    entry = usual;
    entry.etag = "\xFF";
    OK(mcp_keystore_write(&place.store, &entry, p), "nor an entity tag that is none");
    entry = usual;
    entry.loaded_wall = -1;
    OK(mcp_keystore_write(&place.store, &entry, p), "nor a negative time");
    entry = usual;
    entry.refresh_wall = latest + 1;
    OK(mcp_keystore_write(&place.store, &entry, p), "nor one after the year 9999");
    entry.refresh_wall = latest;
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "its last second is");
    unlink(place.file);

    memset(text, 1, MCP_LIMIT_DOCUMENT);
    memset(url, 'u', 65536);
    url[65536] = '\0';
    entry = usual;
    entry.text = text;
    entry.len = MCP_LIMIT_DOCUMENT;
    entry.url = url;
    reason = mcp_keystore_write(&place.store, &entry, p);
    OK(reason && strstr(reason, "too long"), "what would not be read for its length is not written");
    OK(names_in(place.store.dir, p) == 0 && names_in(base, p) > 0, "all this leaves no file");
}

static void form(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "form");
    mcp_keystore_entry_t entry = usual;
    json_t *json;
    static const char *const names[] = { "identity",  "issuer", "url",    "etag",   "loaded",
                                         "refreshed", "keys",   "digest", "version" };
    json_t *values[] = { json_null(),   json_true(),         json_real(1.0),  json_array(),
                         json_object(), json_integer(12345), json_string("1") };
    unsigned i, j;

    put_changed(&place, "version", json_integer(1));
    OK(accepted(&place, &usual, p), "the digest is what the form says");
    for (i = 0; i < 9; i++) {
        const char *ground = i == 8 ? "version" : "form";
        int good = 1;

        put_changed(&place, names[i], NULL);
        OK(refused(&place, ground, p), "McpOAuthKeyStore: refused without %s", names[i]);
        for (j = 0; j < 7; j++) {
            int number = i == 4 || i == 5 || i == 8, text = !number;

            if ((j == 5 && number && i != 8) || (j == 6 && text) || (j == 0 && (i == 2 || i == 3))) {
                continue; /* that is its type */
            }
            put_changed(&place, names[i], json_incref(values[j]));
            /* depth one stops the containers, empty as they are */
            if (!refused(&place, j == 3 || j == 4 ? "depth" : ground, p)) {
                printf("# type %u\n", j);
                good = 0;
            }
        }
        OK(good, "McpOAuthKeyStore: %s of any other type is refused", names[i]);
    }
    for (j = 0; j < 7; j++) {
        json_decref(values[j]);
    }
    put_changed(&place, "version", json_integer(2));
    OK(refused(&place, "version", p), "McpOAuthKeyStore: version 2 is refused, though its digest fits");
    put_changed(&place, "version", json_integer(0));
    OK(refused(&place, "version", p), "and version 0");
    put_changed(&place, "extra", json_integer(1));
    OK(refused(&place, "form", p), "McpOAuthKeyStore: a member too many is refused");
    entry.url = NULL;
    put_changed(&place, "url", json_null());
    OK(accepted(&place, &entry, p), "(a null URL is not)");
    put_changed(&place, "loaded", json_integer(-1));
    OK(refused(&place, "range", p), "McpOAuthKeyStore: a negative time is refused");
    put_changed(&place, "refreshed", json_integer(INT64_MAX));
    OK(refused(&place, "range", p), "McpOAuthKeyStore: a time that would overflow is refused");
    put_changed(&place, "digest", json_string("0011"));
    OK(refused(&place, "digest", p), "McpOAuthKeyStore: a short digest is refused");
    put_changed(&place, "digest", json_string(""));
    OK(refused(&place, "digest", p), "and an empty one");
    json = object_of(&usual);
    json_object_set_new(json, "digest",
                        json_string(apr_pstrcat(p, json_string_value(json_object_get(json, "digest")), "0", NULL)));
    put_object(&place, json);
    json_decref(json);
    OK(refused(&place, "digest", p), "and one with a digit too many");
}

/* Puts the whole of data with each change and wants it refused. */
static void syntax(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "syntax");
    apr_size_t len;
    char *data;

    written(&place, &usual, p);
    data = slurp(&len, place.file, p);
#define PUT(...) \
    do { \
        const char *text_ = apr_pstrcat(p, __VA_ARGS__, NULL); \
        put(place.file, text_, strlen(text_)); \
    } while (0)
    PUT(data);
    OK(accepted(&place, &usual, p), "(unchanged it is read)");
    PUT("\xEF\xBB\xBF", data);
    OK(refused(&place, "json-text", p), "McpOAuthKeyStore: a byte order mark is refused");
    PUT(data, "x");
    OK(refused(&place, "json-syntax", p), "McpOAuthKeyStore: anything behind the object is refused");
    PUT("[", data, "]");
    OK(refused(&place, "json-depth", p), "McpOAuthKeyStore: an array is refused");
    PUT("\"text\"");
    OK(refused(&place, "json-syntax", p), "and a string");
    PUT("{\"issuer\":\"" ISSUER "\",", data + 1);
    OK(refused(&place, "json-duplicate", p), "McpOAuthKeyStore: a member that stands twice is refused");
    PUT("{\"x\":\"\\u0000\",", data + 1);
    OK(refused(&place, "json-text", p), "McpOAuthKeyStore: an escaped NUL is refused");
    PUT("");
    OK(refused(&place, "json-syntax", p), "McpOAuthKeyStore: an empty file is refused");
    put(place.file, data, len + 1);
    OK(refused(&place, "json-text", p), "McpOAuthKeyStore: a NUL at the end is refused");
}

static void belonging(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "belonging");
    mcp_keystore_entry_t entry = usual, *got = (mcp_keystore_entry_t *)p;
    json_t *json;

    entry.identity = OTHER_ID;
    written(&place, &entry, p);
    MUST(rename(apr_pstrcat(p, place.store.dir, "/" OTHER_ID ".json", NULL), place.file));
    OK(refused(&place, "another source", p), "McpOAuthKeyStore: a renamed file is refused");
    entry = usual;
    entry.issuer = ISSUER "/";
    written(&place, &entry, p);
    OK(refused(&place, "another issuer", p), "McpOAuthKeyStore: another issuer's file is refused");
    entry = usual;
    entry.loaded_wall = NOW + 1;
    written(&place, &entry, p);
    OK(refused(&place, "future", p), "McpOAuthKeyStore: a file of the next microsecond is refused");
    OK(!mcp_keystore_read(&got, &place.store, ID, ISSUER, NOW + 1, p) && same(got, &entry), "and read when it is over");

    /* A letter goes from one member into the next. */
    json = object_of(&usual);
    json_object_set_new(json, "url", json_string("Whttps://keys.example/MARK"));
    json_object_set_new(json, "etag", json_string("/\"MARK\""));
    put_object(&place, json);
    json_decref(json);
    OK(refused(&place, "digest", p), "McpOAuthKeyStore: the digest keeps the members apart");
    json = object_of(&usual);
    json_object_set_new(json, "refreshed", json_integer(NOW + 1));
    put_object(&place, json);
    json_decref(json);
    OK(refused(&place, "digest", p), "McpOAuthKeyStore: the digest covers the times");
    entry = usual;
    entry.etag = NULL;
    json = object_of(&entry);
    json_object_set_new(json, "etag", json_string(""));
    put_object(&place, json);
    json_decref(json);
    OK(refused(&place, "digest", p), "McpOAuthKeyStore: the digest tells null from empty");
}

/* Damage to a file; the entry must never be another one than was written. */
static void damage(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "damage");
    mcp_keystore_entry_t entry = usual, *got;
    char *data, *text = apr_palloc(p, MCP_LIMIT_DOCUMENT);
    apr_size_t len, i;
    int bad = 0, n = 0;
    apr_pool_t *ptemp;

    apr_pool_create(&ptemp, p);
    written(&place, &usual, p);
    data = slurp(&len, place.file, p);
    for (i = 0; i < len; i++, n++) {
        put(place.file, data, i);
        bad += !read_of(&got, &place, ptemp) || got;
        apr_pool_clear(ptemp);
    }
    OK(n > 300 && !bad, "McpOAuthKeyStore: %d truncations of a small file are refused", n);
    for (i = 0, n = 0; i < 8 * len; i++, n++) {
        data[i / 8] ^= (char)(1 << i % 8);
        put(place.file, data, len);
        data[i / 8] ^= (char)(1 << i % 8);
        if (!read_of(&got, &place, ptemp) || got) {
            printf("# bit %d of byte %d\n", (int)(i % 8), (int)(i / 8));
            bad++;
        }
        apr_pool_clear(ptemp);
    }
    OK(n > 2400 && !bad, "McpOAuthKeyStore: %d single bits the other way round are refused", n);

    memset(text, 'k', MCP_LIMIT_DOCUMENT);
    entry.text = text;
    entry.len = 8192;
    written(&place, &entry, p);
    data = slurp(&len, place.file, p);
    for (i = 0, n = 0; i < len; i += 64, n++) {
        put(place.file, data, i);
        bad += !read_of(&got, &place, ptemp) || got;
        apr_pool_clear(ptemp);
    }
    OK(n > 128 && !bad, "McpOAuthKeyStore: truncation at every 64th byte is refused (%d)", n);
    entry.len = MCP_LIMIT_DOCUMENT;
    written(&place, &entry, p);
    data = slurp(&len, place.file, p);
    for (i = 1, n = 0; i < len; i += 40009, n++) {
        data[i] ^= (char)(1 << i % 8);
        put(place.file, data, len);
        data[i] ^= (char)(1 << i % 8);
        bad += !read_of(&got, &place, ptemp) || got;
        apr_pool_clear(ptemp);
    }
    OK(n > 25 && !bad, "McpOAuthKeyStore: so are bits of a file of 1 MiB (%d)", n);
    put(place.file, data, len);
    OK(accepted(&place, &entry, p), "(unchanged it is read)");
    apr_pool_destroy(ptemp);
}

static void ceilings(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "ceilings");
    mcp_keystore_entry_t entry = usual;
    char *data = apr_palloc(p, FILE_MAX + 1), *text;
    apr_size_t len;
    json_t *json;

    written(&place, &usual, p);
    memset(data, ' ', FILE_MAX + 1);
    text = slurp(&len, place.file, p);
    memcpy(data, text, len);
    put(place.file, data, FILE_MAX);
    OK(accepted(&place, &usual, p), "a file as long as one can be is read");
    put(place.file, data, FILE_MAX + 1);
    OK(refused(&place, "too long", p), "McpOAuthKeyStore: a file of one byte more is refused");
    MUST(truncate(place.file, (off_t)1 << 32));
    OK(refused(&place, "too long", p), "McpOAuthKeyStore: and one whose length does not fit 32 bits");

    memset(data, 'k', MCP_LIMIT_DOCUMENT + 1);
    entry.text = data;
    entry.len = MCP_LIMIT_DOCUMENT + 1;
    json = object_of(&entry);
    put_object(&place, json);
    json_decref(json);
    OK(refused(&place, "keys are too long", p), "McpOAuthKeyStore: keys of 1 MiB and one byte are refused");
}

static void kinds(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "kinds"), link = place, other;
    const char *elsewhere = apr_pstrcat(p, base, "/elsewhere", NULL);
    struct stat info;
    apr_size_t len;

    written(&place, &usual, p);
    MUST(rename(place.file, elsewhere));
    MUST(symlink(elsewhere, place.file));
    OK(refused(&place, "ymbolic link", p), "McpOAuthKeyStore: a symbolic link to a good file is refused");
    OK(written(&place, &usual, p) && !lstat(place.file, &info) && S_ISREG(info.st_mode),
       "McpOAuthKeyStore: writing replaces the link");
    unlink(place.file);
    MUST(symlink("nowhere", place.file));
    OK(refused(&place, "ymbolic link", p), "McpOAuthKeyStore: a link to nothing is no missing file");
    unlink(place.file);
    MUST(mkfifo(place.file, 0600));
    OK(refused(&place, "regular", p), "McpOAuthKeyStore: a named pipe is refused without waiting");
    unlink(place.file);
    mkdir(place.file, 0700);
    OK(refused(&place, "regular", p), "McpOAuthKeyStore: a directory in its place is refused");
    OK(mcp_keystore_write(&place.store, &usual, p) && names_in(place.store.dir, p) == 1,
       "R16 it cannot be replaced, and nothing is left beside it");
    rmdir(place.file);

    written(&place, &usual, p);
    link.store.dir = apr_pstrcat(p, base, "/link", NULL);
    MUST(symlink(place.store.dir, link.store.dir));
    OK(refused(&link, "link: ", p), "McpOAuthKeyStore: a directory that is a symbolic link is refused");
    OK(mcp_keystore_write(&link.store, &usual, p), "also for writing");
    OK(mcp_keystore_prepare(&link.store, p), "also at start");
    other = link;
    link.store.dir = apr_pstrcat(p, other.store.dir, "/", NULL);
    other.store.dir = apr_pstrcat(p, other.store.dir, "/./", NULL);
    OK(mcp_keystore_prepare(&link.store, p) && mcp_keystore_prepare(&other.store, p) &&
           mcp_keystore_write(&link.store, &usual, p),
       "McpOAuthKeyStore: also with slashes and dots behind it");
    other.store.dir = apr_pstrcat(p, place.store.dir, "//./", NULL);
    OK(!mcp_keystore_prepare(&other.store, p) && accepted(&other, &usual, p), "which are nothing bad in themselves");
    other.store.dir = elsewhere;
    OK(refused(&other, "elsewhere: ", p) && mcp_keystore_prepare(&other.store, p),
       "McpOAuthKeyStore: a file is no directory");
    other.store.dir = apr_pstrcat(p, base, "/missing", NULL);
    OK(refused(&other, "missing: ", p) && mcp_keystore_write(&other.store, &usual, p) && mode_of(other.store.dir) == -1,
       "McpOAuthKeyStore: a missing directory is a reason, and not made by the way");
    slurp(&len, elsewhere, p);
    OK(len > 300, "the link's target is as it was");
}

static void permissions(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "permissions");
    static const int bad[] = { 0620, 0602, 0666 }, good[] = { 0600, 0644, 0400 }, bad_dir[] = { 0770, 0702, 01777 };
    int i;

    written(&place, &usual, p);
    for (i = 0; i < 3; i++) {
        chmod(place.file, (mode_t)bad[i]);
        OK(refused(&place, "writable", p), "McpOAuthKeyStore: a file of mode %04o is refused", bad[i]);
        chmod(place.file, (mode_t)good[i]);
        OK(accepted(&place, &usual, p), "one of mode %04o is not", good[i]);
    }
    for (i = 0; i < 3; i++) {
        chmod(place.store.dir, (mode_t)bad_dir[i]);
        OK(refused(&place, "writable", p), "McpOAuthKeyStore: a directory of mode %04o is refused", bad_dir[i]);
        OK(mcp_keystore_prepare(&place.store, p) && mode_of(place.store.dir) == bad_dir[i],
           "McpOAuthKeyStore: also at start, and stays as it is");
        OK(mcp_keystore_write(&place.store, &usual, p), "and for writing");
    }
    MUST(chmod(place.store.dir, 0755));
    OK(accepted(&place, &usual, p), "a directory of mode 0755 is not");
}

static void owners(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "owners");

    written(&place, &usual, p);
    if (geteuid() != 0) {
        place.store.user = STRANGER;
        OK(refused(&place, "belongs neither", p), "McpOAuthKeyStore: a foreign directory is refused");
        OK(mcp_keystore_prepare(&place.store, p), "also at start");
        OK(mcp_keystore_write(&place.store, &usual, p), "also for writing");
        return;
    }
    place.store.user = NOBODY;
    OK(accepted(&place, &usual, p), "McpOAuthKeyStore: root may own both");
    MUST(chown(place.file, NOBODY, (gid_t)-1));
    OK(accepted(&place, &usual, p), "McpOAuthKeyStore: the user may own the file");
    MUST(chown(place.file, STRANGER, (gid_t)-1));
    OK(refused(&place, "belongs neither", p), "McpOAuthKeyStore: a foreign file is refused");
    OK(written(&place, &usual, p) && accepted(&place, &usual, p), "McpOAuthKeyStore: and can be replaced");
    MUST(chown(place.store.dir, NOBODY, (gid_t)-1));
    OK(accepted(&place, &usual, p), "McpOAuthKeyStore: the user may own the directory");
    MUST(chown(place.store.dir, STRANGER, (gid_t)-1));
    OK(refused(&place, "belongs neither", p), "McpOAuthKeyStore: a foreign directory is refused");
    OK(mcp_keystore_prepare(&place.store, p) && owner_of(place.store.dir) == STRANGER, "also at start");
    OK(mcp_keystore_write(&place.store, &usual, p), "also for writing");
}

static int write_it(const place_t *place, apr_pool_t *p)
{
    return mcp_keystore_write(&place->store, &usual, p) ? 1 : 0;
}

static void prepared(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "prepared");
    mcp_keystore_t store = { apr_pstrcat(p, place.store.dir, "/store", NULL), geteuid() }, other;
    mcp_keystore_entry_t *got;
    mode_t mask = umask(0);
    int cwd;

    OK(!mcp_keystore_prepare(&store, p) && mode_of(store.dir) == 0700, "McpOAuthKeyStore: made with mode 0700");
    umask(mask);
    OK(!mcp_keystore_prepare(&store, p), "McpOAuthKeyStore: and good the next time");
    MUST(chmod(store.dir, 0755));
    OK(!mcp_keystore_prepare(&store, p) && mode_of(store.dir) == 0755, "McpOAuthKeyStore: what exists keeps its mode");
    rmdir(store.dir);
    store.dir = apr_pstrcat(p, store.dir, "/", NULL);
    OK(!mcp_keystore_prepare(&store, p) && mode_of(store.dir) == 0700,
       "McpOAuthKeyStore: also with a slash at the end");
    rmdir(store.dir);
    umask(0777);
    OK(mcp_keystore_prepare(&store, p) && mode_of(store.dir) == -1,
       "McpOAuthKeyStore: a directory that is not as it was made is neither given away nor kept");
    umask(mask);
    other = store;
    other.dir = apr_pstrcat(p, place.store.dir, "/no/store", NULL);
    OK(mcp_keystore_prepare(&other, p) && names_in(place.store.dir, p) == 0,
       "McpOAuthKeyStore: the directories above it are not made");
    other.dir = "prepared";
    cwd = open(".", O_RDONLY);
    OK(!chdir(base) && mcp_keystore_prepare(&other, p) && mcp_keystore_write(&other, &usual, p) &&
           mcp_keystore_read(&got, &other, ID, ISSUER, NOW, p) && !names_in(other.dir, p),
       "McpOAuthKeyStore: a relative path is refused");
    OK(cwd >= 0 && !fchdir(cwd) && !close(cwd), "(back again)");
    other = store;
    other.user = geteuid() ? STRANGER : NOBODY;
    if (geteuid() != 0) {
        OK(mcp_keystore_prepare(&other, p) && mode_of(other.dir) == -1,
           "McpOAuthKeyStore: what cannot be given to the user is not kept");
        return;
    }
    OK(!mcp_keystore_prepare(&other, p) && owner_of(apr_pstrcat(p, place.store.dir, "/store", NULL)) == NOBODY,
       "McpOAuthKeyStore: root gives it to the user");
    MUST(chmod(place.store.dir, 0755));
    place.store = other;
    OK(as_nobody(write_it, &place, p) == 0, "McpOAuthKeyStore: who can write there");
    place.file = apr_pstrcat(p, other.dir, ID ".json", NULL);
    OK(accepted(&place, &usual, p), "and root reads it");
    unlink(place.file);
    MUST(chown(other.dir, 0, (gid_t)-1));
    OK(!mcp_keystore_prepare(&other, p) && owner_of(other.dir) == 0,
       "McpOAuthKeyStore: what exists is not given to anybody");
}

/* --- failures */

static void full(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "full");
    mcp_keystore_entry_t entry = usual;
    struct rlimit limit, small;
    static const rlim_t sizes[] = { 0, 1, 100, 4096, 65536 };
    char *text = apr_palloc(p, 100000);
    unsigned i;

    memset(text, 'k', 100000);
    entry.text = text;
    entry.len = 100000;
    written(&place, &usual, p);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    for (i = 0; i < 5; i++) {
        const char *reason;

        small = limit;
        small.rlim_cur = sizes[i];
        fflush(stdout);
        setrlimit(RLIMIT_FSIZE, &small);
        reason = mcp_keystore_write(&place.store, &entry, p);
        setrlimit(RLIMIT_FSIZE, &limit);
        OK(reason && strstr(reason, place.file) && strstr(reason, "too large"), "R16 no room after %d bytes is told",
           (int)sizes[i]);
        OK(accepted(&place, &usual, p), "R16 and the old file is whole");
        OK(names_in(place.store.dir, p) == 1, "R16 and nothing is left beside it");
    }
    OK(written(&place, &entry, p) && accepted(&place, &entry, p), "R16 with room again it is written");
    signal(SIGXFSZ, SIG_DFL);
}

static int no_descriptor(const place_t *place, apr_pool_t *p)
{
    mcp_keystore_entry_t *got = (mcp_keystore_entry_t *)p;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &limit);
    return !(mcp_keystore_write(&place->store, &usual, p) && read_of(&got, place, p) && !got);
}

static void unwritable(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "unwritable");

    place.store.user = geteuid() ? geteuid() : NOBODY;
    written(&place, &usual, p);
    MUST(chown(place.store.dir, place.store.user, (gid_t)-1));
    MUST(chown(place.file, place.store.user, (gid_t)-1));
    MUST(chmod(place.store.dir, 0500));
    OK(as_nobody(write_it, &place, p) == 1, "R16 a directory that cannot be written to is told");
    OK(accepted(&place, &usual, p) && names_in(place.store.dir, p) == 1, "R16 and the old file is whole");
    MUST(chmod(place.store.dir, 0700));
    OK(as_nobody(write_it, &place, p) == 0, "R16 and replaced when it can be");
    OK(as_nobody(no_descriptor, &place, p) == 0, "R17 without descriptors neither works, and both say so");
}

static void leftovers(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "leftovers");
    const char *temp =
        apr_psprintf(p, "%s/" ID ".%ld-%lx.tmp", place.store.dir, (long)getpid(), (unsigned long)pthread_self());
    const char *victim = apr_pstrcat(p, base, "/victim", NULL);
    apr_size_t len;

    put(temp, "half", 4);
    OK(written(&place, &usual, p) && accepted(&place, &usual, p) && names_in(place.store.dir, p) == 1,
       "McpOAuthKeyStore: what a crash has left is replaced");
    put(victim, "victim", 6);
    MUST(symlink(victim, temp));
    OK(written(&place, &usual, p) && accepted(&place, &usual, p) && names_in(place.store.dir, p) == 1,
       "McpOAuthKeyStore: so is a link of that name");
    STR_IS(slurp(&len, victim, p), "victim", "McpOAuthKeyStore: which is not followed");
    OK(mode_of(place.file) == 0600, "and the file has mode 0600");
    mkdir(temp, 0700);
    OK(mcp_keystore_write(&place.store, &usual, p) != NULL && accepted(&place, &usual, p),
       "R16 a directory of that name is a failure that leaves the old file");
}

/* --- many at once */

#define WRITERS 4
#define WRITES 200

/* An entry whose parts tell whether they belong together. */
static mcp_keystore_entry_t numbered(int writer, int n, apr_pool_t *p)
{
    mcp_keystore_entry_t entry = usual;
    apr_size_t len = (apr_size_t)(200 + (writer * 7919 + n * 104729) % 30000);
    char *text = apr_palloc(p, len + 1);

    memset(text, 'a' + writer, len);
    text[len] = '\0';
    entry.etag = apr_psprintf(p, "%d %d", writer, n);
    entry.text = text;
    entry.len = len;
    return entry;
}

static void write_many(const place_t *place, int writer, apr_pool_t *p)
{
    apr_pool_t *ptemp;
    int n;

    apr_pool_create(&ptemp, p);
    for (n = 0; n < WRITES; n++) {
        mcp_keystore_entry_t entry = numbered(writer, n, ptemp);

        if (mcp_keystore_write(&place->store, &entry, ptemp)) {
            _exit(1);
        }
        apr_pool_clear(ptemp);
    }
    _exit(0);
}

static int read_whole(const place_t *place, apr_pool_t *ptemp)
{
    mcp_keystore_entry_t *got, want;
    const char *reason = read_of(&got, place, ptemp);
    int writer, n;

    if (reason || !got || sscanf(got->etag, "%d %d", &writer, &n) != 2) {
        printf("# %s\n", reason ? reason : "no entry");
        return 0;
    }
    want = numbered(writer, n, ptemp);
    return same(got, &want);
}

static void crowd(const char *base, apr_pool_t *p)
{
    place_t place = place_make(p, base, "crowd");
    mcp_keystore_entry_t first = numbered(0, 0, p);
    int i, status, running = WRITERS, failed = 0, broken = 0, reads = 0;
    apr_pool_t *ptemp;

    written(&place, &first, p);
    apr_pool_create(&ptemp, p);
    fflush(stdout);
    for (i = 0; i < WRITERS; i++) {
        if (!fork()) {
            write_many(&place, i, p);
        }
    }
    while (running) {
        broken += !read_whole(&place, ptemp);
        reads++;
        apr_pool_clear(ptemp);
        if (waitpid(-1, &status, WNOHANG) > 0) {
            running--;
            failed += !WIFEXITED(status) || WEXITSTATUS(status);
        }
    }
    OK(!failed, "McpOAuthKeyStore: %d processes write the same file %d times each", WRITERS, WRITES);
    OK(!broken && reads > WRITERS, "McpOAuthKeyStore: whoever reads meanwhile is given a whole entry");
    printf("# %d reads\n", reads);
    OK(read_whole(&place, ptemp) && names_in(place.store.dir, p) == 1, "McpOAuthKeyStore: one file is left");
}

static void test(apr_pool_t *p)
{
    const char *temp;
    int before = open_descriptors();
    char *base;

    if (apr_temp_dir_get(&temp, p) != APR_SUCCESS) {
        temp = "/tmp";
    }
    base = apr_pstrcat(p, temp, "/keystore-XXXXXX", NULL);
    if (!mkdtemp(base) || chmod(base, 0755)) {
        printf("Bail out! %s: %s\n", base, strerror(errno));
        return;
    }
    round_trip(base, p);
    not_written(base, p);
    form(base, p);
    syntax(base, p);
    belonging(base, p);
    damage(base, p);
    ceilings(base, p);
    kinds(base, p);
    permissions(base, p);
    owners(base, p);
    prepared(base, p);
    full(base, p);
    unwritable(base, p);
    leftovers(base, p);
    crowd(base, p);
    OK(open_descriptors() == before, "R17 no descriptor stays open");
    if (system(apr_pstrcat(p, "rm -rf '", base, "'", NULL))) {
        printf("# %s is left\n", base);
    }
}
