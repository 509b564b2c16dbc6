// A certified authorization server (npm oidc-provider): resource indicators (RFC 8707), access tokens as JWT (RFC 9068) or opaque,
// introspection in JSON (RFC 7662) and signed (RFC 9701), revocation, DPoP, faults on demand.
// usage: node issuer.mjs PORT
//
// Clients (secret: the name and "-secret"): es256, ps256, rs256, eddsa get JWTs with that algorithm; opaque gets opaque tokens; dpop and
// dpop-opaque have them bound to a key; "plain server" and "signed server" are resource servers, the first by client_secret_basic
// alone, the second by client_secret_post alone, with signed answers;
// app is public and uses the login form, where every name is good with any password.
// GET /test gives how often each path was asked for. POST /test {"path", "times", "status", "headers", "body", "delay"} spoils as many
// answers; {} forgets that.
import http from 'node:http';
import { Provider } from 'oidc-provider';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

const port = Number(process.argv[2]), issuer = `http://localhost:${port}`, TTL = 600;
const scopes = ['mcp:use', 'mcp:admin'], signers = { es256: 'ES256', ps256: 'PS256', rs256: 'RS256', eddsa: 'EdDSA' };

async function newKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true }), jwk = await exportJWK(privateKey);
  return { ...jwk, use: 'sig', ...(alg !== 'EdDSA' && { alg }), kid: await calculateJwkThumbprint(jwk) };
}
const confidential = (client_id, more = {}) => ({
  client_id, client_secret: `${client_id}-secret`, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256', ...more });
const isServer = client => client.clientId.endsWith(' server');

const provider = new Provider(issuer, {
  jwks: { keys: await Promise.all(Object.values(signers).map(newKey)) },
  scopes: ['openid', 'offline_access', ...scopes],
  clients: [
    ...[...Object.keys(signers), 'opaque', 'plain server'].map(name => confidential(name)),
    ...['dpop', 'dpop-opaque'].map(name => confidential(name, { dpop_bound_access_tokens: true })),
    confidential('signed server', { introspection_signed_response_alg: 'ES256', token_endpoint_auth_method: 'client_secret_post' }),
    { client_id: 'app', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: ['http://localhost/callback'],
      grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], id_token_signed_response_alg: 'ES256' },
  ],
  cookies: { keys: ['test'] },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  extraTokenClaims: (_context, token) => (token.accountId ? { groups: token.accountId === 'alice' ? ['staff', 'admins'] : ['staff'] } : undefined),
  ttl: { AccessToken: TTL, ClientCredentials: TTL, Session: TTL, Grant: TTL, Interaction: TTL, IdToken: TTL },
  enabledJWA: { dPoPSigningAlgValues: ['ES256', 'PS256', 'EdDSA', 'Ed25519'] },
  features: {
    devInteractions: { enabled: true }, clientCredentials: { enabled: true }, revocation: { enabled: true }, dPoP: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_context, client, token) => isServer(client) || token.clientId === client.clientId },
    jwtIntrospection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(_context, resource, client) {
        const opaque = client.clientId.includes('opaque');
        return { scope: scopes.join(' '), audience: resource, accessTokenTTL: TTL, accessTokenFormat: opaque ? 'opaque' : 'jwt',
          ...(!opaque && { jwt: { sign: { alg: signers[client.clientId] ?? 'ES256' } } }) };
      },
    },
  },
});
provider.on('server_error', (_context, error) => console.error(error));
const answer = provider.callback(), counts = {};
let fault = {};

http.createServer(async (req, res) => {
  const path = req.url.split('?')[0];
  if (path === '/test') {
    let text = '';
    for await (const piece of req) text += piece;
    if (req.method === 'POST') fault = JSON.parse(text);
    return res.end(JSON.stringify(counts));
  }
  counts[path] = (counts[path] ?? 0) + 1;
  if (path === fault.path && fault.times-- > 0) {
    await new Promise(done => setTimeout(done, fault.delay ?? 0));
    if (fault.status) return res.writeHead(fault.status, { 'Content-Type': 'application/json', ...fault.headers }).end(fault.body ?? '');
  }
  return answer(req, res);
}).listen(port, '127.0.0.1');
