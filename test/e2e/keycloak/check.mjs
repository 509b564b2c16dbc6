// What mod_mcp_oauth makes of the tokens of a real Keycloak. Started by keycloak.sh.
// usage: node check.mjs KEYCLOAK_PID KEYCLOAK_BASE ADMIN_PASSWORD BACKEND_PORT JWT_URL ASKED_URL FOUND_URL WRONG_URL
// JWT_URL: verified with keys; ASKED_URL: introspected as in conf/examples/introspection.conf, but remembered for 2 seconds;
// FOUND_URL: introspected by discovery; WRONG_URL: with a wrong secret. Prints "ok" and "FAIL" lines; exit 0 without a FAIL.
import { McpServer, Prover, basic, check, claims, codeFlow, discover, failed, header, passed, post, refused, request, sleep, until } from './oauth.mjs';

const [pid, base, adminPassword, port, jwt, asked, found, wrong] = process.argv.slice(2);
const issuer = `${base}/realms/mcp-demo`, DEADLINE = 30000, TTL = 2000;
const backend = new McpServer();
await backend.listen(Number(port));
const call = (...args) => backend.call(...args);
const userSeen = answer => answer.reached[0]?.headers['x-mcp-user'];

// --- tokens ------------------------------------------------------------------------------------------------------

const endpoint = name => `${issuer}/protocol/openid-connect/${name}`;
async function granted(form, headers) {
  const answer = await post(endpoint('token'), form, headers);
  if (answer.status !== 200) throw new Error(`no token for ${JSON.stringify(form)}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
const withPassword = (user, scope = 'openid mcp:run', client = 'mcp-public') =>
  granted({ grant_type: 'password', client_id: client, username: user, password: `${user}-pw`, scope });
const asService = async (client = 'mcp-service', scope = 'mcp:run', headers = {}) =>
  (await granted({ grant_type: 'client_credentials', scope }, { ...basic(client, `${client}-secret`), ...headers })).access_token;

// --- keys ----------------------------------------------------------------------------------------------------------

async function grants() {
  const flow = await discover(jwt);
  check('without a token: 401, and the way to Keycloak', flow.status === 401 && flow.resource.resource === jwt && flow.issuer === issuer &&
    /scope="mcp:run"/.test(flow.challenge) && flow.server.issuer === issuer, `${flow.status} ${flow.challenge}`);

  const alice = await withPassword('alice');
  let answer = await call(jwt, alice.access_token, 'add');
  passed('password grant', answer, userSeen(answer) === 'alice' && !('authorization' in answer.reached[0].headers));
  answer = await call(jwt, await asService());
  passed('client credentials', answer, userSeen(answer) === 'service-account-mcp-service' && answer.client === 'mcp-service');
  const code = await codeFlow(flow.server, { client: 'mcp-public', scope: 'openid mcp:run', user: 'bob', password: 'bob-pw', resource: jwt });
  answer = await call(jwt, code.body.access_token, 'add');
  passed('authorization code with PKCE, by the login form', answer, userSeen(answer) === 'bob' && answer.client === 'mcp-public');
  const refreshed = await granted({ grant_type: 'refresh_token', client_id: 'mcp-public', refresh_token: code.body.refresh_token });
  passed('refreshed', await call(jwt, refreshed.access_token, 'add'));
  passed('McpOAuthMaxAuthAge: by the login form just now', await call(`${jwt}/recent`, code.body.access_token));
  answer = await call(`${jwt}/recent`, alice.access_token);
  refused('McpOAuthMaxAuthAge: nobody says when', answer, 401, 'authentication-old', /insufficient_user_authentication.*max_age="3600"/.test(answer.challenge));

  refused('no audience mapper, no audience', await call(jwt, (await withPassword('alice', 'openid')).access_token), 401, 'token-audience');
  refused('the audience of another server', await call(jwt, await asService('mcp-service', 'mcp:other')), 401, 'token-audience');
  answer = await call(jwt, await asService('mcp-service', 'mcp:look'));
  refused('the audience without the scope', answer, 403, 'scope-missing', /scope="mcp:run".*error="insufficient_scope"/.test(answer.challenge));
  refused('a lightweight token has no audience in itself', await call(jwt, await asService('mcp-light')), 401, 'token-audience');
  refused('an ID token', await call(jwt, alice.id_token), 401, 'token-type');
  refused('a refresh token', await call(jwt, alice.refresh_token), 401, 'token-algorithm');
}

async function roles() {
  const alice = (await withPassword('alice')).access_token, bob = (await withPassword('bob')).access_token;
  passed('role calc:divide, tool divide', await call(jwt, alice, 'divide'));
  passed('role calc:add, tool add', await call(jwt, bob, 'add'));
  const answer = await call(jwt, bob, 'divide');
  refused('role calc:add, tool divide: 403, and no scope to ask for', answer, 403, 'acl-denied', !/scope="/.test(answer.challenge));
}

// The admin REST interface of the realm.
async function admin(method, path, value) {
  const entered = await post(`${base}/realms/master/protocol/openid-connect/token`, {
    grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: adminPassword });
  return request(`${base}/admin/realms/mcp-demo${path}`, {
    method, ...(value && { body: JSON.stringify(value) }),
    headers: { authorization: `Bearer ${entered.body.access_token}`, 'content-type': 'application/json' } });
}
const newKey = async priority => admin('POST', '/components', {
  name: `rsa-${priority}`, providerId: 'rsa-generated', providerType: 'org.keycloak.keys.KeyProvider', parentId: (await admin('GET', '')).body.id,
  config: { priority: [`${priority}`], enabled: ['true'], active: ['true'], algorithm: ['RS256'], keySize: ['2048'] } });

async function rotation() {
  const first = await asService(), unused = await asService(), kids = [header(first).kid];
  passed('rotation: by the first key', await call(jwt, first));
  const added = await newKey(200);
  const second = await asService();
  kids.push(header(second).kid);
  check('rotation: Keycloak signs with a new key', added.status === 201 && new Set(kids).size === 2, kids.join(' '));
  const begun = Date.now(), answer = await until(() => call(jwt, second), a => a.status === 200, DEADLINE);
  passed('rotation: the new key is fetched on demand', answer, true, answer.status === 200 ? `after ${Date.now() - begun} ms` : '');
  passed('rotation: the old key stays good, also for a token that was not seen before', await call(jwt, unused));

  // The first key is withdrawn; the next on-demand fetch learns it, and with the key go the verdicts on its tokens.
  const components = (await admin('GET', '/components?type=org.keycloak.keys.KeyProvider')).body;
  const old = components.find(c => c.providerId === 'rsa-generated' && c.id !== added.headers.get('location').split('/').pop());
  const disabled = await admin('PUT', `/components/${old.id}`, { ...old, config: { ...old.config, enabled: ['false'], active: ['false'] } });
  check('rotation: the old key is disabled', disabled.status === 204, disabled.status);
  await newKey(300);
  const third = await asService();
  passed('rotation: a third key', await until(() => call(jwt, third), a => a.status === 200, DEADLINE));
  refused('rotation: the disabled key', await until(() => call(jwt, first), a => a.status === 401, DEADLINE), 401, 'token-key-unknown');
  passed('rotation: the second key', await call(jwt, second));
}

// --- DPoP ------------------------------------------------------------------------------------------------------------

async function bound() {
  const prover = await Prover.create(), thief = await Prover.create();
  const ask = async () => asService('mcp-dpop', 'mcp:run', { dpop: await prover.proof(endpoint('token')) });
  const token = await ask();
  check('DPoP: Keycloak binds the token to the key', claims(token).cnf?.jkt === prover.jkt, claims(token).cnf);
  for (const [how, url] of [['keys', jwt], ['introspected', found]]) {
    const credentials = await prover.credentials(token, how === 'keys' ? jwt : found);
    passed(`DPoP, ${how}: with a proof`, await call(url, credentials));
    refused(`DPoP, ${how}: the proof once more`, await call(url, credentials), 401, 'dpop-replayed');
    refused(`DPoP, ${how}: as Bearer`, await call(url, token), 401, 'token-bound');
    refused(`DPoP, ${how}: by another key`, await call(url, await thief.credentials(token, url)), 401, 'dpop-key');
  }
  const unbound = await asService();
  refused('DPoP: a token that is bound to nobody', await call(jwt, await prover.credentials(unbound, jwt)), 401, 'token-unbound');
}

// --- introspection ---------------------------------------------------------------------------------------------------------

async function introspected() {
  const alice = await withPassword('alice'), bob = await withPassword('bob');
  let answer = await call(asked, alice.access_token, 'divide');
  passed('introspection: active', answer, userSeen(answer) === claims(alice.access_token).sub && answer.client === 'mcp-public' &&
    !('authorization' in answer.reached[0].headers));
  answer = await call(asked, await asService('mcp-light'));
  passed('introspection: audience and scope stand in the answer alone', answer, answer.client === 'mcp-light');
  refused('introspection: no audience', await call(asked, (await withPassword('alice', 'openid')).access_token), 401, 'token-audience');
  refused('introspection: the audience of another server', await call(asked, await asService('mcp-service', 'mcp:other')), 401, 'token-audience');
  refused('introspection: the audience without the scope', await call(asked, await asService('mcp-service', 'mcp:look')), 403, 'scope-missing');
  refused('introspection: an ID token, active for Keycloak', await call(asked, alice.id_token), 401, 'token-type');
  refused('introspection: a refresh token, active for Keycloak', await call(asked, alice.refresh_token), 401, 'token-algorithm');
  refused('introspection: nonsense', await call(asked, 'nonsense'), 401, 'token-inactive');
  refused('introspection: another signature', await call(asked, alice.access_token.replace(/[^.]*$/, bob.access_token.split('.')[2])), 401, 'token-inactive');

  passed('introspection by discovery: role calc:divide, tool divide', await call(found, alice.access_token, 'divide'));
  refused('introspection by discovery: role calc:add, tool divide', await call(found, bob.access_token, 'divide'), 403, 'acl-denied');
  refused('introspection by discovery: client_id is not in McpOAuthAuthorizedParty', await call(found, await asService()), 403, 'client-forbidden');
}

async function ended() {
  const leaving = await withPassword('alice'), revoked = await withPassword('bob'), short = await withPassword('bob', 'openid mcp:run', 'mcp-short');
  const begun = Date.now();
  passed('a token for 3 seconds', await call(found, short.access_token));
  passed('before the logout', await call(asked, leaving.access_token));
  passed('before the revocation', await call(asked, revoked.access_token));
  passed('before the revocation, remembered for a minute', await call(found, revoked.access_token));
  await post(endpoint('logout'), { client_id: 'mcp-public', refresh_token: leaving.refresh_token });
  await post(endpoint('revoke'), { client_id: 'mcp-public', token: revoked.access_token });
  passed('revoked, remembered for a minute', await call(found, revoked.access_token));
  await sleep(TTL + 300);
  refused('after the logout', await call(asked, leaving.access_token), 401, 'token-inactive');
  refused('after the revocation', await call(asked, revoked.access_token), 401, 'token-inactive');
  await sleep(Math.max(0, begun + 4500 - Date.now()));
  refused('after exp, which comes before the minute is over', await call(found, short.access_token), 401, 'token-inactive');
}

// --- Keycloak is not there ----------------------------------------------------------------------------------------------------

const unavailable = (what, answer, more = true) =>
  refused(what, answer, 503, 'introspection-unavailable', /^[1-9]\d*$/.test(answer.retryAfter) && answer.body?.error === 'temporarily_unavailable' && more);

async function absent() {
  const tokens = [];
  for (let i = 0; i < 6; i++) tokens.push((await withPassword('alice')).access_token);
  passed('remembered', await call(found, tokens[0]));
  unavailable('wrong secret', await call(wrong, tokens[1]));

  process.kill(-pid, 'SIGSTOP');
  const answer = await call(asked, tokens[2]);
  unavailable('Keycloak hangs: a new token', answer, answer.ms < 15000);
  passed('Keycloak hangs: a remembered token', await call(found, tokens[0]));
  passed('Keycloak hangs: a new token, verified with keys', await call(jwt, tokens[3]));
  process.kill(-pid, 'SIGCONT');
  passed('Keycloak goes on', await until(() => call(asked, tokens[2]), a => a.status === 200, 2 * DEADLINE));

  process.kill(-pid, 'SIGKILL');
  unavailable('Keycloak is gone: a new token', await until(() => call(asked, tokens[4]), a => a.status !== 200, DEADLINE));
  for (let i = 0; i < 3; i++) await call(asked, `nonsense-${i}`);
  const left = await call(asked, 'nonsense');
  unavailable('Keycloak is gone: it is not asked any more for a while', left, left.ms < 1000);
  passed('Keycloak is gone: a new token, verified with keys', await call(jwt, tokens[5]));
}

const steps = { grants, roles, rotation, bound, introspected, ended, absent };
for (const [name, step] of Object.entries(steps)) {
  try { await step(); } catch (e) { check(`${name} came to its end`, false, e.stack); }
}
process.exit(failed() ? 1 : 0);
