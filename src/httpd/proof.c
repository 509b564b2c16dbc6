#include "httpd/proof.h"

#include <http_log.h>
#include <http_protocol.h>
#include <http_ssl.h>

#include <apr_shm.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/base64url.h"
#include "token/dpop.h"
#include "token/replay.h"

APLOG_USE_MODULE(mcp_oauth);

#define FIELD "DPoP"
#define RETAINED "mod_mcp_oauth_proofs " MCP_VERSION
#define BUCKETS 65536 /* of eight proofs: half a million within their time */
#define ADMITTED "mcp_oauth_proof"
#define LINE 64 /* bytes, of a processor's cache */
#define NONCE_RENEWED (MCP_DPOP_NONCE_LIFE / 2)

/* Outlives restarts: a proof that was used before one must not be used again after it. */
typedef struct retained_t {
    mcp_replay_t *replay;
    unsigned char digest_key[MCP_DPOP_KEY_BYTES];
    unsigned char random_key[MCP_DPOP_KEY_BYTES];
} retained_t;

/* Made by the parent, before children. */
static struct {
    const retained_t *retained;
    unsigned char nonce_key[MCP_DPOP_KEY_BYTES];
} proofs;

static retained_t *retained_make(server_rec *s)
{
    retained_t *retained = ap_retained_data_create(RETAINED, sizeof(*retained));
    apr_shm_t *shm;

    if (RAND_bytes(retained->digest_key, sizeof(retained->digest_key)) != 1 ||
        RAND_bytes(retained->random_key, sizeof(retained->random_key)) != 1 ||
        apr_shm_create(&shm, mcp_replay_bytes(BUCKETS) + LINE, NULL, s->process->pool) != APR_SUCCESS) {
        return retained;
    }
    retained->replay = (mcp_replay_t *)APR_ALIGN((apr_uintptr_t)apr_shm_baseaddr_get(shm), LINE);
    mcp_replay_init(retained->replay, BUCKETS);
    return retained;
}

/* Servers with the same McpOAuthSessionKey take each other's nonces. */
static int nonce_key_make(const retained_t *retained, const mcp_secret_t *secret)
{
    static const char label[] = "mod_mcp_oauth DPoP nonce";
    apr_size_t len = 0;

    if (!secret) {
        memcpy(proofs.nonce_key, retained->random_key, sizeof(proofs.nonce_key));
        return 1;
    }
    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret->data, secret->len, (const unsigned char *)label,
                     sizeof(label), proofs.nonce_key, sizeof(proofs.nonce_key), &len) &&
           len == sizeof(proofs.nonce_key);
}

int mcp_proof_post_config(server_rec *s)
{
    retained_t *retained = ap_retained_data_get(RETAINED);

    proofs.retained = retained ? retained : retained_make(s);
    if (!proofs.retained->replay || !nonce_key_make(proofs.retained, mcp_server_of(s)->session_secret)) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                     "MCP0966: the memory or the keys for DPoP proofs cannot be made; raise the system's limits");
        return !OK;
    }
    return OK;
}

const char *mcp_proof_nonce(apr_pool_t *p)
{
    return mcp_dpop_nonce_make(proofs.nonce_key, apr_time_now(), p);
}

/* --- DPoP --------------------------------------------------------------------------------------------------------- */

/* The path of the request as it was sent, without query. */
static const char *path_of(const request_rec *r)
{
    const char *path = r->unparsed_uri ? r->unparsed_uri : r->uri, *authority = strstr(path, "://");

    if (*path != '/' && authority) { /* absolute form */
        path = ap_strchr_c(authority + 3, '/');
    }
    return path && *path == '/' ? apr_pstrmemdup(r->pool, path, strcspn(path, "?#")) : r->uri;
}

/* The URL that a client calls, never by what the request says about the host: the resource and what follows the path of its
 * section, and, in case no path is mapped on the way, the same path at the resource's origin. */
static void urls_make(const char **urls, const request_rec *r, const mcp_location_t *location)
{
    const char *path = path_of(r), *owner = location->conf->owner;
    apr_size_t len = owner ? strlen(owner) : 0;

    urls[0] = apr_pstrcat(r->pool, location->resource_url.origin, path, NULL);
    urls[1] = NULL;
    if (len && owner[len - 1] == '/') {
        len--;
    }
    if (owner && !strncmp(path, owner, len) && (!path[len] || path[len] == '/')) {
        apr_size_t whole = strlen(location->resource);

        whole -= path[len] && location->resource[whole - 1] == '/'; /* one slash between the two */
        urls[1] = apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, location->resource, whole), path + len, NULL);
    }
}

static mcp_status_t replay_check(request_rec *r, const mcp_dpop_t *proof, const char *jkt)
{
    unsigned char digest[MCP_DPOP_KEY_BYTES];
    void *admitted = NULL;

    if (!mcp_dpop_digest(digest, proofs.retained->digest_key, jkt, proof->jti)) {
        return MCP_INTERNAL;
    }
    /* A request that httpd leads inside from one place to another is still the one that the proof came with. */
    while (r->main) {
        r = r->main;
    }
    apr_pool_userdata_get(&admitted, ADMITTED, r->pool);
    if (admitted && !CRYPTO_memcmp(admitted, digest, MCP_DPOP_KEY_BYTES)) {
        return MCP_OK;
    }
    if (!mcp_replay_admit(proofs.retained->replay, digest, proof->not_after, apr_time_now())) {
        return MCP_DPOP_REPLAYED;
    }
    apr_pool_userdata_setn(apr_pmemdup(r->pool, digest, MCP_DPOP_KEY_BYTES), ADMITTED, NULL, r->pool);
    return MCP_OK;
}

static mcp_status_t nonce_check(request_rec *r, mcp_dpop_t *proof)
{
    apr_time_t now = apr_time_now();
    apr_interval_time_t age;
    const char *nonce;

    if (!mcp_dpop_nonce_check(&age, proof->nonce, proofs.nonce_key, now)) {
        return MCP_DPOP_NONCE;
    }
    /* A proof ends with its nonce: one that was made for later takes no more of the memory than others. A minute more, for
     * the clocks of other servers. */
    if (proof->not_after > now - age + MCP_DPOP_NONCE_LIFE + apr_time_from_sec(61)) {
        proof->not_after = now - age + MCP_DPOP_NONCE_LIFE + apr_time_from_sec(61);
    }
    if (age > NONCE_RENEWED && (nonce = mcp_proof_nonce(r->pool))) {
        apr_table_setn(r->err_headers_out, "DPoP-Nonce", nonce);
    }
    return MCP_OK;
}

typedef struct fields_t {
    const char *value;
    int count;
} fields_t;

static int field_count(void *baton, const char *key, const char *value)
{
    fields_t *fields = baton;

    fields->value = value;
    return ++fields->count;
}

static mcp_status_t dpop_check(request_rec *r, const mcp_request_t *request, const char *jkt, const char *token,
                               apr_size_t len)
{
    mcp_dpop_expect_t expect = { .method = r->method, .token = token, .token_len = len, .jkt = jkt };
    fields_t fields = { NULL, 0 };
    mcp_dpop_t proof;
    mcp_status_t status;

    apr_table_do(field_count, &fields, r->headers_in, FIELD, NULL);
    if (!fields.count || !*fields.value) {
        return MCP_DPOP_MISSING;
    }
    if (fields.count > 1 || strchr(fields.value, ',')) {
        return MCP_DPOP_DOUBLED;
    }
    urls_make(expect.urls, r, request->location);
    status = mcp_dpop_verify(&proof, fields.value, strlen(fields.value), &expect, apr_time_now(), r->pool);
    if (status == MCP_OK && request->location->dpop_nonce) {
        status = nonce_check(r, &proof);
    }
    return status == MCP_OK ? replay_check(r, &proof, jkt) : status;
}

/* --- client certificates ------------------------------------------------------------------------------------------ */

/* Of the DER form, as in x5t#S256. */
static int certificate_thumbprint(char *out, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    int ok = certificate && X509_digest(certificate, EVP_sha256(), digest, &len) == 1 && len == 32;

    X509_free(certificate);
    BIO_free(bio);
    ERR_clear_error();
    if (ok) {
        mcp_base64url_encode(out, digest, len);
    }
    return ok;
}

static mcp_status_t certificate_check(request_rec *r, const char *x5t)
{
    char thumbprint[MCP_BASE64URL_ENCODED(32) + 1];
    const char *pem = ap_ssl_conn_is_ssl(r->connection)
                          ? ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT")
                          : NULL;

    if (!pem || !*pem || !certificate_thumbprint(thumbprint, pem) || strlen(x5t) != strlen(thumbprint) ||
        CRYPTO_memcmp(x5t, thumbprint, strlen(thumbprint))) {
        return MCP_TOKEN_CERTIFICATE;
    }
    return MCP_OK;
}

/* --- both --------------------------------------------------------------------------------------------------------- */

mcp_status_t mcp_proof_check(request_rec *r, mcp_request_t *request, const mcp_grant_t *grant, const char *token,
                             apr_size_t len)
{
    const mcp_binding_t *binding = &grant->binding;
    int mode = request->location->dpop;

    if (mode == MCP_DPOP_OFF && (binding->jkt || binding->x5t)) {
        return MCP_TOKEN_BOUND;
    }
    if (request->scheme == MCP_SCHEME_BEARER) {
        if (binding->jkt) {
            return MCP_TOKEN_BOUND; /* whoever stole it would send it like this (RFC 9449 section 7.2) */
        }
        if (mode == MCP_DPOP_REQUIRED) {
            return MCP_TOKEN_UNBOUND;
        }
    }
    else if (!binding->jkt) {
        return MCP_TOKEN_UNBOUND;
    }
    if (binding->x5t && certificate_check(r, binding->x5t) != MCP_OK) {
        return MCP_TOKEN_CERTIFICATE;
    }
    return binding->jkt ? dpop_check(r, request, binding->jkt, token, len) : MCP_OK;
}
