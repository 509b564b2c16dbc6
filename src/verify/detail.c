#include "verify/verdict.h"

static const char *claims_detail(mcp_token_step_t step)
{
    switch (step) {
    case MCP_STEP_PAYLOAD:
        return "The payload is not a strict JSON object with a string iss: it may hold a member twice, or be malformed";
    case MCP_STEP_TIMES:
        return "exp is missing, or one of exp, nbf and iat is not a number of seconds since 1970";
    default:
        return "A claim is missing, empty or of the wrong type: sub, client_id and azp are strings; where only at+jwt "
               "is "
               "accepted, sub, client_id, iat and jti must be there (RFC 9068 section 2.2)";
    }
}

static const char *parse_detail(mcp_status_t status)
{
    switch (status) {
    case MCP_TOKEN_MALFORMED:
        return "Not a signed JWT: three parts of base64url without padding, with a dot between each. An opaque token "
               "can "
               "be judged by introspection alone, and five parts are an encrypted token, which is not accepted";
    case MCP_TOKEN_TOO_LONG:
        return "The token is longer than 16384 bytes";
    case MCP_TOKEN_HEADER:
        return "The header is not a strict JSON object with a string alg, or has a member that is not accepted: jwk, "
               "jku, "
               "x5u, zip, enc, b64, or a kid or typ that is no string";
    case MCP_TOKEN_CRITICAL:
        return "The header has crit: extensions that must be understood are not supported";
    default:
        return NULL;
    }
}

static const char *time_detail(mcp_status_t status)
{
    switch (status) {
    case MCP_TOKEN_EXPIRED:
        return "The token expired: exp is in the past by more than the skew. Get a new token, or see whether this "
               "clock "
               "is right";
    case MCP_TOKEN_NOT_YET:
        return "nbf or iat is in the future by more than the skew: the clock of the issuer or this one is wrong";
    default:
        return NULL;
    }
}

const char *mcp_verdict_detail(mcp_status_t status, mcp_token_step_t step)
{
    switch (status) {
    case MCP_TOKEN_ALGORITHM:
        return "The algorithm of the token is not among those that are accepted; \"none\" and the HS family never are";
    case MCP_TOKEN_TYPE:
        return step == MCP_STEP_KIND ? "The claims are those of another kind of token, such as an ID token or a logout "
                                       "token: send the access token"
                                     : "The typ of the header is not one that is accepted for access tokens";
    case MCP_TOKEN_KEY_UNKNOWN:
        return "No key of the set fits the token";
    case MCP_TOKEN_SIGNATURE:
        return "No key that fits verifies the signature: the token was changed, or signed with another key";
    case MCP_TOKEN_CLAIMS:
        return claims_detail(step);
    case MCP_TOKEN_ISSUER:
        return "iss is not the expected issuer; they are compared byte for byte, a slash at the end counts";
    case MCP_TOKEN_AUDIENCE:
        return "aud is missing or does not hold the expected audience; they are compared byte for byte, a slash at the "
               "end counts";
    case MCP_TOKEN_BOUND:
        return "cnf is not what can be checked: an object with jkt, x5t#S256 or both, and nothing else";
    default:
        return time_detail(status) ? time_detail(status) : parse_detail(status);
    }
}
