// What mod_mcp_oauth makes of the tokens of oidc-provider. Started by provider.sh.
// usage: node check.mjs ISSUER BACKEND_PORT MAIN_ORIGIN PLAIN_ORIGIN SIGNED_ORIGIN PROCESSES
// The origins and their locations: see gateway.conf.in. PROCESSES: how many httpd may have at most. Prints "ok" and "FAIL" lines;
// exit 0 without a FAIL.
import { Client, DpopSession, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { SignJWT, generateKeyPair } from 'jose';
import {
  McpServer, Prover, basic, check, claims, codeFlow, discover, failed, header, login, passed, post, postJson, refused, request, sleep, until,
} from './oauth.mjs';

const [issuer, port, main, plain, signed, processes] = process.argv.slice(2);
const mcp = `${main}/mcp`, strict = `${main}/strict`, introspected = `${plain}/mcp`, TTL = 2000;
const backend = new McpServer();
await backend.listen(Number(port));
const call = (...args) => backend.call(...args);

async function granted(client, more = {}, headers = {}) {
  const answer = await post(`${issuer}/token`, { grant_type: 'client_credentials', scope: 'mcp:use', resource: mcp, ...more },
    { ...basic(client, `${client}-secret`), ...headers });
  if (answer.status !== 200) throw new Error(`no token for ${client}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.access_token;
}
const boundTo = async (prover, client, more) => granted(client, more, { dpop: await prover.proof(`${issuer}/token`) });

const INTROSPECTION = '/token/introspection';
const asked = async () => (await request(`${issuer}/test`)).body[INTROSPECTION] ?? 0;
// How often work made httpd ask.
async function questions(work) {
  const before = await asked(), result = await work();
  return [result, await asked() - before];
}
const spoil = (status, more = {}) => postJson(`${issuer}/test`, { path: INTROSPECTION, times: 1, status, ...more });

// --- JWTs --------------------------------------------------------------------------------------------------------

async function algorithms() {
  for (const client of ['es256', 'ps256', 'rs256', 'eddsa']) {
    const token = await granted(client), { alg, typ } = header(token), answer = await call(mcp, token, 'add');
    passed(`at+jwt, ${alg}`, answer, typ === 'at+jwt' && alg.toLowerCase() === client && answer.client === client &&
      !('authorization' in answer.reached[0].headers));
  }
}

async function resources() {
  const flow = await discover(mcp);
  check('without a token: 401, and the way to the authorization server', flow.status === 401 && flow.issuer === issuer &&
    flow.resource.resource === mcp && flow.server.issuer === issuer, `${flow.status} ${flow.challenge}`);
  const form = { client: 'app', scope: 'openid mcp:use', user: 'bob', password: 'x', resource: flow.resource.resource };
  const code = (await codeFlow(flow.server, form)).body, answer = await call(mcp, code.access_token, 'add');
  passed('authorization code with PKCE and resource, by the login form', answer, answer.reached[0]?.headers['x-mcp-user'] === 'bob');
  for (const resource of [strict, 'https://other.example/mcp']) {
    const other = await granted('es256', { resource });
    check('resource indicator: aud', claims(other).aud === resource, claims(other).aud);
    refused('resource indicator: a token for another resource', await call(mcp, other), 401, 'token-audience');
  }
  refused('an ID token', await call(mcp, code.id_token), 401, 'token-type');

  const denied = await call(mcp, code.access_token, 'divide');
  refused('the scope that a tool needs', denied, 403, 'acl-scope-missing', /scope="mcp:use mcp:admin".*error="insufficient_scope"/.test(denied.challenge));
  const more = (await codeFlow(flow.server, { ...form, scope: 'openid mcp:use mcp:admin' })).body;
  passed('with that scope', await call(mcp, more.access_token, 'divide'));
}

async function forged() {
  const token = await granted('es256'), other = await granted('es256'), { privateKey } = await generateKeyPair('ES256');
  const sign = payload => new SignJWT(payload).setProtectedHeader({ typ: 'at+jwt', alg: 'ES256', kid: 'mine' }).sign(privateKey);
  refused('the signature of another token', await call(mcp, token.replace(/[^.]*$/, other.split('.')[2])), 401, 'token-signature');
  refused('by a key of my own', await call(mcp, await sign(claims(token))), 401, 'token-key-unknown');
  refused('of an issuer of my own', await call(mcp, await sign({ ...claims(token), iss: 'https://as.example' })), 401, 'token-issuer');
  check('no JWT was introspected, forged ones neither', await asked() === 0, `${await asked()} questions`);
}

// --- opaque tokens -------------------------------------------------------------------------------------------------

async function opaque() {
  const token = await granted('opaque');
  let [answer, n] = await questions(() => call(introspected, token, 'add'));
  passed('opaque: active, by client_secret_basic', answer, n === 1 && answer.client === 'opaque', `${n} questions`);
  passed('opaque: McpOAuthTokenType at+jwt speaks of JWTs alone', await call(mcp, await granted('opaque')));
  [answer, n] = await questions(() => call(introspected, token, 'divide'));
  refused('opaque: the scope that a tool needs, by the answer that is remembered', answer, 403, 'acl-scope-missing', n === 0);
  for (const resource of ['https://other.example/mcp', '']) {
    refused(`opaque: a token for ${resource ? 'another' : 'no'} resource`, await call(introspected, await granted('opaque', { resource })), 401, 'token-audience');
  }
  refused('opaque: nonsense', await call(introspected, 'nonsense'), 401, 'token-inactive');

  const many = await granted('opaque');
  await spoil(0, { delay: 700 });
  const [answers, asks] = await questions(() => Promise.all(Array.from({ length: 12 }, () => call(introspected, many))));
  check('opaque: 12 requests at once, one question of each process', answers.every(a => a.status === 200) && asks >= 1 && asks <= Number(processes),
    `${answers.map(a => a.status).join(' ')}, ${asks} questions`);

  const revoked = await granted('opaque');
  passed('opaque: before the revocation', await call(introspected, revoked));
  await post(`${issuer}/token/revocation`, { token: revoked }, basic('opaque', 'opaque-secret'));
  await sleep(TTL + 300);
  refused('opaque: after the revocation', await call(introspected, revoked), 401, 'token-inactive');
}

const unavailable = (what, answer, more = true) =>
  refused(what, answer, 503, 'introspection-unavailable', /^[1-9]\d*$/.test(answer.retryAfter) && answer.body?.error === 'temporarily_unavailable' && more);

// Each fault, then a good answer: no fault is remembered longer than it lasts.
async function faults() {
  const kinds = { 500: [500], 'a page': [200, { body: '<html>active</html>' }], 'a redirect': [302, { headers: { Location: `${issuer}/test` } }] };
  for (const [what, fault] of Object.entries(kinds)) {
    const token = await granted('opaque');
    await spoil(...fault);
    unavailable(`introspection answers ${what}`, await call(introspected, token));
    passed(`after ${what}`, await until(() => call(introspected, token), a => a.status === 200, 10000));
  }
  await spoil(200, { body: '{"active":"true","aud":"x"}' });
  refused('introspection answers "true", a string', await call(introspected, await granted('opaque')), 401, 'token-inactive');

  const token = await granted('opaque');
  await spoil(429, { headers: { 'Retry-After': '3' } });
  unavailable('introspection answers 429 with Retry-After', await call(introspected, token));
  const [answer, n] = await questions(() => call(introspected, token));
  unavailable('and is left alone for that long', answer, n === 0);
  passed('and asked again then', await until(() => call(introspected, token), a => a.status === 200, 15000));
}

async function signedAnswers() {
  const token = await granted('opaque'), url = `${signed}/mcp`;
  const [answer, n] = await questions(() => call(url, token));
  passed('signed answer (RFC 9701), by client_secret_post', answer, n === 1 && answer.client === 'opaque', `${n} questions`);
  const [, again] = await questions(() => call(url, token));
  check('McpOAuthIntrospectionCacheTTL 0: asked each time', again === 1, `${again} questions`);
  refused('signed answer: not active', await call(url, 'nonsense'), 401, 'token-inactive');
  const now = Math.floor(Date.now() / 1000);
  const good = { active: true, iss: issuer, aud: mcp, scope: 'mcp:use', client_id: 'opaque', token_type: 'Bearer', exp: now + 600 };
  await spoil(200, { body: JSON.stringify(good) });
  unavailable('signed answer: one without signature', await call(url, 'nonsense'));
  const { privateKey } = await generateKeyPair('ES256');
  const forgery = await new SignJWT({ iss: issuer, aud: 'signed server', iat: now, token_introspection: good })
    .setProtectedHeader({ typ: 'token-introspection+jwt', alg: 'ES256' }).sign(privateKey);
  await spoil(200, { headers: { 'Content-Type': 'application/token-introspection+jwt' }, body: forgery });
  unavailable('signed answer: by a key of my own', await call(url, 'nonsense'));
  passed('signed answer: a good one again', await until(() => call(url, token), a => a.status === 200, 10000));
}

// --- DPoP ------------------------------------------------------------------------------------------------------------

async function proofs() {
  for (const alg of ['ES256', 'PS256', 'EdDSA']) {
    const prover = await Prover.create(alg), token = await boundTo(prover, 'dpop');
    const answer = await call(mcp, await prover.credentials(token, mcp), 'add'), fields = answer.reached[0]?.headers ?? {};
    passed(`DPoP: a proof with ${alg}`, answer, claims(token).cnf?.jkt === prover.jkt && !('dpop' in fields) && !('authorization' in fields));
  }
  const prover = await Prover.create(), thief = await Prover.create(), token = await boundTo(prover, 'dpop'), used = await prover.credentials(token, mcp);
  passed('DPoP: a proof', await call(mcp, used));
  refused('DPoP: once more', await call(mcp, used), 401, 'dpop-replayed');
  refused('DPoP: none', await call(mcp, { token, scheme: 'DPoP' }), 401, 'dpop-missing');
  refused('DPoP: the token as Bearer', await call(mcp, token), 401, 'token-bound');
  refused('DPoP: by another key', await call(mcp, await thief.credentials(token, mcp)), 401, 'dpop-key');
  refused('DPoP: for another URL', await call(mcp, await prover.credentials(token, strict)), 401, 'dpop-url');
  refused('DPoP: for another method', await call(mcp, await prover.credentials(token, mcp, { method: 'GET' })), 401, 'dpop-method');
  refused('DPoP: for another token', await call(mcp, { ...await prover.credentials('another', mcp), token }), 401, 'dpop-token');
  const late = await call(mcp, await prover.credentials(token, mcp, { age: 400 }));
  refused('DPoP: too old', late, 401, 'dpop-time', /^Bearer (?:(?!error)[^])*, DPoP [^]*error="invalid_dpop_proof"/.test(late.challenge));

  const hidden = await boundTo(prover, 'dpop-opaque');
  passed('DPoP: an opaque token, bound by what introspection says', await call(introspected, await prover.credentials(hidden, introspected)));
  refused('DPoP: that token as Bearer', await call(introspected, hidden), 401, 'token-bound');
  refused('DPoP: that token by another key', await call(introspected, await thief.credentials(hidden, introspected)), 401, 'dpop-key');
}

async function required() {
  const prover = await Prover.create(), token = await boundTo(prover, 'dpop', { resource: strict });
  const nothing = await call(strict, {});
  refused('DPoP required: without a token', nothing, 401, 'credentials-missing',
    /^DPoP [^]*algs="[^"]*ES256/.test(nothing.challenge) && !/Bearer/.test(nothing.challenge) && nothing.nonce !== '');
  const metadata = (await request(`${main}/.well-known/oauth-protected-resource/strict`)).body;
  check('DPoP required: the metadata says so',
    metadata.dpop_bound_access_tokens_required === true && metadata.dpop_signing_alg_values_supported?.includes('EdDSA'), metadata.dpop_signing_alg_values_supported);
  refused('DPoP required: a token that is bound to nobody', await call(strict, await granted('es256', { resource: strict })), 401, 'token-unbound');
  const asks = await call(strict, await prover.credentials(token, strict));
  refused('DPoP nonce: asked for', asks, 401, 'dpop-nonce', /error="use_dpop_nonce"/.test(asks.challenge) && asks.nonce !== '');
  passed('DPoP nonce: given', await call(strict, await prover.credentials(token, strict, { nonce: asks.nonce })));
  refused('DPoP nonce: made up', await call(strict, await prover.credentials(token, strict, { nonce: 'AAAAAAAAAAAAAAAA' })), 401, 'dpop-nonce');
}

// --- the official client ------------------------------------------------------------------------------------------------

// The TypeScript SDK finds its way from the 401 to the tool, with a login, and with another when the tool needs more scope.
async function sdkClient(dpop) {
  const name = dpop ? 'TypeScript client with DPoP' : 'TypeScript client', callback = 'http://localhost:33418/callback';
  let tokens, verifier, pending, session, found, logins = 0;
  const authProvider = {
    redirectUrl: callback,
    clientMetadata: { client_name: 'check', redirect_uris: [callback], token_endpoint_auth_method: 'none' },
    clientInformation: () => ({ client_id: 'app' }),
    tokens: () => tokens, saveTokens: t => { tokens = t; },
    codeVerifier: () => verifier, saveCodeVerifier: v => { verifier = v; },
    discoveryState: () => found, saveDiscoveryState: f => { found = f; },
    redirectToAuthorization: url => { logins++; pending = login(url, callback, 'alice', 'x'); pending.catch(() => {}); },
    ...(dpop && { dpop: () => (session ??= DpopSession.create()) }),
  };
  const open = () => [new Client({ name: 'check', version: '1' }, { capabilities: {} }), new StreamableHTTPClientTransport(new URL(mcp), { authProvider })];
  let [client, transport] = open();
  const authorized = async (work, again = () => {}) => {
    for (let tries = 0; tries < 3; tries++) {
      try { return await work(); } catch (error) {
        if (!pending || !(error instanceof UnauthorizedError || error?.cause instanceof UnauthorizedError || /unauthorized/i.test(error?.message))) throw error;
        const back = new URL(await pending).searchParams;
        pending = undefined;
        await transport.finishAuth(back);
        again();
      }
    }
    throw new Error('still unauthorized after 3 logins');
  };
  await authorized(() => client.connect(transport), () => { [client, transport] = open(); });
  const tools = (await client.listTools()).tools.length, sum = await client.callTool({ name: 'add', arguments: {} });
  check(`${name}: 401, discovery, login, tools`, tools === 2 && sum.content[0].text === '42' && logins === 1, `${logins} logins`);
  const more = await authorized(() => client.callTool({ name: 'divide', arguments: {} }));
  check(`${name}: 403, login for more scope, tool`, more.content[0].text === '42' && logins === 2, `${logins} logins`);
  check(`${name}: the token is ${dpop ? '' : 'not '}bound to a key`,
    (claims(tokens.access_token).cnf?.jkt !== undefined) === dpop && tokens.token_type === (dpop ? 'DPoP' : 'Bearer'), tokens.token_type);
  await client.close();
}

const steps = { algorithms, resources, forged, opaque, faults, signedAnswers, proofs, required, sdk: () => sdkClient(false), sdkDpop: () => sdkClient(true) };
for (const [name, step] of Object.entries(steps)) {
  try { await step(); } catch (e) { check(`${name} came to its end`, false, e.stack); }
}
process.exit(failed() ? 1 : 0);
