/* Verdicts: each reason for a refusal stands once, with everything that follows from it. */
#ifndef MCP_STATUS_H
#define MCP_STATUS_H

/* Log levels, equal to syslog's and httpd's. */
enum { MCP_LOG_ERR = 3, MCP_LOG_WARNING = 4, MCP_LOG_NOTICE = 5, MCP_LOG_INFO = 6, MCP_LOG_DEBUG = 7 };

/* Columns: name | slug (log, metric) | HTTP status | OAuth "error" of the body, and of the challenge where there is one |
 * JSON-RPC code once a body was read, 0 = its HTTP status | log level | message id | fixed text for the client.
 * The texts do not tell which check failed; the slug does, in the log only. */
#define MCP_STATUS_TABLE(X) \
    X(OK, "ok", 200, NULL, 0, DEBUG, "MCP0000", NULL) \
    X(CREDENTIALS_MISSING, "credentials-missing", 401, "unauthorized", 0, INFO, "MCP0101", \
      "Authentication is required") \
    X(CREDENTIALS_SCHEME, "credentials-scheme", 401, "unauthorized", 0, INFO, "MCP0102", "Authentication is required") \
    X(CREDENTIALS_EMPTY, "credentials-empty", 400, "invalid_request", -32600, INFO, "MCP0103", \
      "The credentials are malformed") \
    X(CREDENTIALS_DOUBLED, "credentials-doubled", 400, "invalid_request", -32600, INFO, "MCP0104", \
      "The credentials are malformed") \
    X(CREDENTIALS_QUERY, "credentials-query", 400, "invalid_request", -32600, INFO, "MCP0105", \
      "The credentials are malformed") \
    X(TOKEN_MALFORMED, "token-malformed", 401, "invalid_token", 0, INFO, "MCP0201", "The access token is not valid") \
    X(TOKEN_TOO_LONG, "token-too-long", 401, "invalid_token", 0, INFO, "MCP0202", "The access token is not valid") \
    X(TOKEN_HEADER, "token-header", 401, "invalid_token", 0, INFO, "MCP0203", "The access token is not valid") \
    X(TOKEN_CRITICAL, "token-critical", 401, "invalid_token", 0, INFO, "MCP0204", "The access token is not valid") \
    X(TOKEN_ALGORITHM, "token-algorithm", 401, "invalid_token", 0, INFO, "MCP0205", "The access token is not valid") \
    X(TOKEN_TYPE, "token-type", 401, "invalid_token", 0, INFO, "MCP0206", "The access token is not valid") \
    X(TOKEN_KEY_UNKNOWN, "token-key-unknown", 401, "invalid_token", 0, INFO, "MCP0207", \
      "The access token is not valid") \
    X(TOKEN_SIGNATURE, "token-signature", 401, "invalid_token", 0, NOTICE, "MCP0208", "The access token is not valid") \
    X(TOKEN_CLAIMS, "token-claims", 401, "invalid_token", 0, INFO, "MCP0209", "The access token is not valid") \
    X(TOKEN_ISSUER, "token-issuer", 401, "invalid_token", 0, INFO, "MCP0210", "The access token is not valid") \
    X(TOKEN_AUDIENCE, "token-audience", 401, "invalid_token", 0, INFO, "MCP0211", "The access token is not valid") \
    X(TOKEN_EXPIRED, "token-expired", 401, "invalid_token", 0, INFO, "MCP0212", "The access token expired") \
    X(TOKEN_NOT_YET, "token-not-yet-valid", 401, "invalid_token", 0, INFO, "MCP0213", "The access token is not valid") \
    X(TOKEN_BOUND, "token-bound", 401, "invalid_token", 0, INFO, "MCP0214", "The access token is not valid") \
    X(TOKEN_INACTIVE, "token-inactive", 401, "invalid_token", 0, INFO, "MCP0215", "The access token is not valid") \
    X(TOKEN_UNBOUND, "token-unbound", 401, "invalid_token", 0, INFO, "MCP0216", "The access token is not valid") \
    X(TOKEN_CERTIFICATE, "token-certificate", 401, "invalid_token", 0, INFO, "MCP0217", \
      "The access token is not valid") \
    X(AUTHENTICATION_WEAK, "authentication-weak", 401, "insufficient_user_authentication", 0, INFO, "MCP0218", \
      "A stronger user authentication is required") \
    X(AUTHENTICATION_OLD, "authentication-old", 401, "insufficient_user_authentication", 0, INFO, "MCP0219", \
      "A more recent user authentication is required") \
    X(DPOP_MISSING, "dpop-missing", 401, "invalid_dpop_proof", 0, INFO, "MCP0220", "A DPoP proof is required") \
    X(DPOP_DOUBLED, "dpop-doubled", 401, "invalid_dpop_proof", 0, INFO, "MCP0221", "The DPoP proof is not valid") \
    X(DPOP_MALFORMED, "dpop-malformed", 401, "invalid_dpop_proof", 0, INFO, "MCP0222", "The DPoP proof is not valid") \
    X(DPOP_HEADER, "dpop-header", 401, "invalid_dpop_proof", 0, INFO, "MCP0223", "The DPoP proof is not valid") \
    X(DPOP_SIGNATURE, "dpop-signature", 401, "invalid_dpop_proof", 0, NOTICE, "MCP0224", \
      "The DPoP proof is not valid") \
    X(DPOP_CLAIMS, "dpop-claims", 401, "invalid_dpop_proof", 0, INFO, "MCP0225", "The DPoP proof is not valid") \
    X(DPOP_METHOD, "dpop-method", 401, "invalid_dpop_proof", 0, INFO, "MCP0226", "The DPoP proof is not valid") \
    X(DPOP_URL, "dpop-url", 401, "invalid_dpop_proof", 0, INFO, "MCP0227", "The DPoP proof is not valid") \
    X(DPOP_TIME, "dpop-time", 401, "invalid_dpop_proof", 0, INFO, "MCP0228", "The DPoP proof is not valid") \
    X(DPOP_TOKEN, "dpop-token", 401, "invalid_dpop_proof", 0, INFO, "MCP0229", "The DPoP proof is not valid") \
    X(DPOP_REPLAYED, "dpop-replayed", 401, "invalid_dpop_proof", 0, NOTICE, "MCP0230", "The DPoP proof is not valid") \
    X(DPOP_NONCE, "dpop-nonce", 401, "use_dpop_nonce", 0, INFO, "MCP0231", \
      "The DPoP proof needs a nonce of this server") \
    X(DPOP_KEY, "dpop-key", 401, "invalid_token", 0, NOTICE, "MCP0232", "The access token is not valid") \
    X(KEYS_UNAVAILABLE, "keys-unavailable", 503, "temporarily_unavailable", 0, INFO, "MCP0301", \
      "The access token cannot be checked at the moment") \
    X(INTROSPECTION_UNAVAILABLE, "introspection-unavailable", 503, "temporarily_unavailable", 0, INFO, "MCP0302", \
      "The access token cannot be checked at the moment") \
    X(SCOPE_MISSING, "scope-missing", 403, "insufficient_scope", 0, INFO, "MCP0401", "The access token lacks a scope") \
    X(CLAIM_MISSING, "claim-missing", 403, "forbidden", 0, INFO, "MCP0402", "The request is not allowed") \
    X(CLIENT_FORBIDDEN, "client-forbidden", 403, "forbidden", 0, INFO, "MCP0403", "The request is not allowed") \
    X(ACL_SCOPE, "acl-scope-missing", 403, "insufficient_scope", 0, INFO, "MCP0404", "The access token lacks a scope") \
    X(ACL_DENIED, "acl-denied", 403, "forbidden", 0, INFO, "MCP0405", "The request is not allowed") \
    X(REQUIRE_SCOPE, "require-scope", 403, "insufficient_scope", 0, INFO, "MCP0407", "The access token lacks a scope") \
    X(REQUIRE_DENIED, "require-denied", 403, "forbidden", 0, INFO, "MCP0408", "The request is not allowed") \
    X(ORIGIN_FORBIDDEN, "origin-forbidden", 403, "forbidden", 0, INFO, "MCP0501", "The origin is not allowed") \
    X(VERB_FORBIDDEN, "verb-forbidden", 405, "method_not_allowed", 0, INFO, "MCP0502", \
      "The HTTP method is not allowed") \
    X(PREFLIGHT, "preflight", 204, NULL, 0, DEBUG, "MCP0503", NULL) \
    X(BODY_UNEXPECTED, "body-unexpected", 400, "invalid_request", -32600, INFO, "MCP0504", \
      "The request must not have a body") \
    X(BODY_TYPE, "body-type", 415, "unsupported_media_type", 0, INFO, "MCP0505", \
      "The body must be application/json in UTF-8") \
    X(BODY_ENCODING, "body-encoding", 415, "unsupported_media_type", 0, INFO, "MCP0506", \
      "The body must not be encoded") \
    X(BODY_TOO_LARGE, "body-too-large", 413, "payload_too_large", 0, INFO, "MCP0507", "The body is too large") \
    X(BODY_UNREADABLE, "body-unreadable", 400, "invalid_request", -32600, INFO, "MCP0508", \
      "The body could not be read") \
    X(BODY_TIMEOUT, "body-timeout", 408, "request_timeout", 0, INFO, "MCP0509", "The body came too slowly") \
    X(RATE_LIMITED, "rate-limited", 429, "too_many_requests", 0, INFO, "MCP0514", "Too many requests") \
    X(JSON_SYNTAX, "json-syntax", 400, "invalid_request", -32700, INFO, "MCP0601", "The body is not valid JSON") \
    X(JSON_TEXT, "json-text", 400, "invalid_request", -32700, INFO, "MCP0602", "The body is not valid JSON") \
    X(JSON_NUMBER, "json-number", 400, "invalid_request", -32700, INFO, "MCP0603", "The body is not valid JSON") \
    X(JSON_DEPTH, "json-depth", 400, "invalid_request", -32600, INFO, "MCP0604", "The body is nested too deeply") \
    X(JSON_DUPLICATE, "json-duplicate", 400, "invalid_request", -32600, INFO, "MCP0605", \
      "The body has a member twice") \
    X(JSON_VARIANT, "json-variant", 400, "invalid_request", -32600, INFO, "MCP0606", "The body has a misspelt member") \
    X(JSON_VALUES, "json-values", 400, "invalid_request", -32600, INFO, "MCP0611", "The body has too many values") \
    X(RPC_INVALID, "rpc-invalid", 400, "invalid_request", -32600, INFO, "MCP0607", \
      "The body is not a JSON-RPC 2.0 message") \
    X(RPC_BATCH, "rpc-batch", 400, "invalid_request", -32600, INFO, "MCP0608", "The batch is not allowed") \
    X(RPC_PARAMS, "rpc-params", 400, "invalid_request", -32602, INFO, "MCP0609", "The parameters are not valid") \
    X(HEADER_MISMATCH, "header-mismatch", 400, "invalid_request", -32020, INFO, "MCP0610", \
      "The headers do not match the body") \
    X(SESSION_FOREIGN, "session-foreign", 404, "session_not_found", 0, INFO, "MCP0510", "The session does not exist") \
    X(LIST_UNREADABLE, "list-unreadable", 502, "bad_gateway", -32603, WARNING, "MCP0612", \
      "The answer of the server could not be filtered") \
    X(CONFIG_CONFLICT, "config-conflict", 500, "server_error", -32603, ERR, "MCP0901", \
      "The server is not configured correctly") \
    X(INTERNAL, "internal", 500, "server_error", -32603, ERR, "MCP0902", "The server failed")

typedef enum {
#define X(name, slug, http, error, code, level, id, text) MCP_##name,
    MCP_STATUS_TABLE(X)
#undef X
        MCP_STATUS_COUNT
} mcp_status_t;

typedef struct mcp_status_info_t {
    const char *slug;  /* stable, lower case, for logs and metrics */
    int http;          /* HTTP status */
    const char *error; /* OAuth error code, NULL for none */
    int rpc_code;      /* JSON-RPC error code, 0: the HTTP status stands in */
    int log_level;     /* MCP_LOG_* */
    const char *id;    /* message id, never reused */
    const char *text;  /* fixed text for the client, NULL for none */
} mcp_status_info_t;

/* What follows from a verdict; never NULL, a value out of range gives MCP_INTERNAL's. Static memory. */
const mcp_status_info_t *mcp_status_info(mcp_status_t status);

#endif
