// Makes the realm of the test in a fresh Keycloak by its admin REST interface, as an administrator would.
// usage: node realm.mjs BASE ADMIN_PASSWORD SECRET_FILE AUDIENCE [AUDIENCE]...
//
// User alice may use both tools, bob only "add": realm roles, which a mapper writes to the claim mcp_scopes. Client scope
// "mcp:run" brings the audiences, "mcp:look" the same audiences without the scope that is needed, "mcp:other" the audience
// of another server. SECRET_FILE is written: the secret of the client "mcp-server", as which the gateway introspects.
import { writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { post, request } from './oauth.mjs';

const [base, password, file, ...audiences] = process.argv.slice(2), realm = 'mcp-demo', admin = `${base}/admin/realms`;

const entered = await post(`${base}/realms/master/protocol/openid-connect/token`, {
  grant_type: 'password', client_id: 'admin-cli', username: 'admin', password });
async function create(path, value) {
  const answer = await request(`${admin}${path}`, {
    method: 'POST', body: JSON.stringify(value), headers: { authorization: `Bearer ${entered.body.access_token}`, 'content-type': 'application/json' } });
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

const user = (username, ...realmRoles) => ({
  username, enabled: true, emailVerified: true, email: `${username}@example.test`, firstName: username, lastName: 'Test', requiredActions: [],
  credentials: [{ type: 'password', value: `${username}-pw`, temporary: false }], realmRoles: [`default-roles-${realm}`, ...realmRoles] });
await create('', {
  realm, enabled: true, sslRequired: 'none', accessTokenLifespan: 600,
  roles: { realm: [{ name: 'calc:add' }, { name: 'calc:divide' }] },
  users: [user('alice', 'calc:add', 'calc:divide'), user('bob', 'calc:add')],
});

const both = { 'access.token.claim': 'true', 'introspection.token.claim': 'true', 'id.token.claim': 'false' };
const audience = url => ({
  name: `audience ${url}`, protocol: 'openid-connect', protocolMapper: 'oidc-audience-mapper', config: { 'included.custom.audience': url, ...both } });
const roles = {
  name: 'roles as mcp_scopes', protocol: 'openid-connect', protocolMapper: 'oidc-usermodel-realm-role-mapper',
  config: { 'claim.name': 'mcp_scopes', 'jsonType.label': 'String', multivalued: 'true', ...both } };
const scope = (name, protocolMappers) => create(`/${realm}/client-scopes`, {
  name, protocol: 'openid-connect', protocolMappers, attributes: { 'include.in.token.scope': 'true', 'display.on.consent.screen': 'false' } });
await scope('mcp:run', [...audiences.map(audience), roles]);
await scope('mcp:look', audiences.map(audience));
await scope('mcp:other', [audience(new URL('/other', audiences[0]).href)]);

const client = (clientId, more) => create(`/${realm}/clients`, {
  clientId, protocol: 'openid-connect', publicClient: false, standardFlowEnabled: false, directAccessGrantsEnabled: false, fullScopeAllowed: true,
  defaultClientScopes: ['basic', 'acr', 'profile'], optionalClientScopes: ['mcp:run', 'mcp:look', 'mcp:other', 'offline_access'], ...more });
const service = (clientId, attributes = {}) => client(clientId, { secret: `${clientId}-secret`, serviceAccountsEnabled: true, attributes });
const open = (clientId, attributes = {}) => client(clientId, {
  publicClient: true, standardFlowEnabled: true, directAccessGrantsEnabled: true, redirectUris: ['http://localhost/*'],
  attributes: { 'pkce.code.challenge.method': 'S256', ...attributes } });
await open('mcp-public');
await open('mcp-short', { 'access.token.lifespan': '3' });
await service('mcp-service');
await service('mcp-dpop', { 'dpop.bound.access.tokens': 'true' });
await service('mcp-light', { 'client.use.lightweight.access.token.enabled': 'true' });

// With everything that must be encoded in a form and in Authorization (RFC 6749 section 2.3.1).
const secret = `${randomBytes(18).toString('base64url')}+/%2B&=: ?`;
await client('mcp-server', { secret, defaultClientScopes: [], optionalClientScopes: [] });
writeFileSync(file, `${secret}\n`, { mode: 0o600 });
