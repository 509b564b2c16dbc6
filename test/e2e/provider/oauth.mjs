// What the tests with real authorization servers share: verdicts, an MCP server that keeps what reached it, OAuth requests,
// login forms that are posted without a browser, and DPoP proofs.
import http from 'node:http';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

let failures = 0;
export const failed = () => failures;
export function check(what, ok, seen = '') {
  const text = typeof seen === 'string' ? seen : JSON.stringify(seen);
  failures += !ok;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${text ? `: ${text.replace(/eyJ[\w.-]{20,}/g, 'eyJ...').replace(/\s+/g, ' ').slice(0, 300)}` : ''}`);
  return ok;
}
export const sleep = ms => new Promise(done => setTimeout(done, ms));

// Repeats work until test likes its result, at most for ms; the last result.
export async function until(work, test, ms, pause = 300) {
  const end = Date.now() + ms;
  for (;;) {
    const result = await work();
    if (test(result) || Date.now() > end) return result;
    await sleep(pause);
  }
}

// --- HTTP -------------------------------------------------------------------------------------------------------

export async function request(url, options = {}) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(60000), ...options }), text = await answer.text();
  let body;
  try { body = JSON.parse(text); } catch { body = text; }
  return { status: answer.status, headers: answer.headers, body };
}
export const post = (url, form, headers = {}) => request(url, { method: 'POST', body: new URLSearchParams(form), headers });
export const postJson = (url, value, headers = {}) =>
  request(url, { method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json', ...headers } });
export const basic = (id, secret) => ({ authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}` });

export const claims = token => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
export const header = token => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

// --- the MCP server, and how it is called --------------------------------------------------------------------------

const results = {
  initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'two tools', version: '1' } },
  'tools/list': { tools: ['add', 'divide'].map(name => ({ name, inputSchema: { type: 'object' } })) },
  'tools/call': { content: [{ type: 'text', text: '42' }] },
};

export class McpServer {
  seen = []; // headers and message of each request that came through
  async listen(port) {
    const server = http.createServer(async (req, res) => {
      let text = '';
      for await (const piece of req) text += piece;
      if (req.method !== 'POST') return res.writeHead(405).end();
      const message = JSON.parse(text);
      this.seen.push({ headers: req.headers, message });
      if (message.id === undefined) return res.writeHead(202).end();
      res.setHeader('Content-Type', 'application/json');
      return res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: results[message.method] ?? {} }));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
  }

  // Calls a tool (or pings) through the gateway. credentials: a token (Bearer), or {token, scheme, proof, headers}.
  async call(url, credentials, tool) {
    const { token, scheme = 'Bearer', proof, headers = {} } = typeof credentials === 'object' ? credentials : { token: credentials };
    const before = this.seen.length, begun = Date.now();
    const message = tool ? { method: 'tools/call', params: { name: tool, arguments: {} } } : { method: 'ping' };
    const answer = await postJson(url, { jsonrpc: '2.0', id: 1, ...message }, {
      accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18', 'x-mcp-user': 'forged', ...headers,
      ...(token && { authorization: `${scheme} ${token}` }), ...(proof && { dpop: proof }) });
    const field = name => answer.headers.get(name) ?? '';
    return {
      status: answer.status, reason: field('x-reason'), client: field('x-client'), challenge: field('www-authenticate'), retryAfter: field('retry-after'),
      nonce: field('dpop-nonce'), body: answer.body, reached: this.seen.slice(before), ms: Date.now() - begun,
    };
  }
}
const brief = a => `${a.status} ${a.reason} ${a.reached.length ? 'reached' : 'kept from'} the MCP server`;
export const passed = (what, answer, more = true, seen = '') =>
  check(what, answer.status === 200 && answer.reached.length === 1 && more, seen || (answer.status === 200 ? '' : `${brief(answer)} ${answer.challenge}`));
// Refused, for this reason, and the MCP server heard nothing of it.
export function refused(what, answer, status, reason, more = true) {
  const ok = answer.status === status && answer.reason === reason && answer.reached.length === 0 && more;
  return check(what, ok, ok ? `${status} ${reason}` : `${brief(answer)} ${answer.challenge}`);
}

// --- OAuth --------------------------------------------------------------------------------------------------------------

// From the address of an MCP server to the metadata of its authorization server, as clients find it.
export async function discover(url) {
  const refusal = await postJson(url, { jsonrpc: '2.0', id: 1, method: 'ping' }, { accept: 'application/json, text/event-stream' });
  const challenge = refusal.headers.get('www-authenticate') ?? '', where = challenge.match(/Bearer [^]*?resource_metadata="([^"]+)"/)?.[1];
  const resource = where ? (await request(where)).body : {};
  const issuer = new URL(resource.authorization_servers?.[0] ?? 'http://localhost/none'), path = issuer.pathname === '/' ? '' : issuer.pathname;
  const server = (await request(`${issuer.origin}/.well-known/oauth-authorization-server${path}`)).body;
  return { status: refusal.status, challenge, resource, issuer: resource.authorization_servers?.[0], server };
}

// Authorization code with PKCE; the forms are posted. Gives the answer of the token endpoint.
export async function codeFlow(server, { client, scope, user, password, resource }) {
  const callback = 'http://localhost:33418/callback', verifier = randomBytes(32).toString('base64url'), state = randomUUID();
  const address = new URL(server.authorization_endpoint);
  address.search = new URLSearchParams({
    response_type: 'code', client_id: client, redirect_uri: callback, scope, state, code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), ...(resource && { resource }) });
  const back = new URL(await login(address, callback, user, password)).searchParams;
  if (!back.get('code') || back.get('state') !== state || back.get('iss') !== server.issuer) return { status: 0, body: Object.fromEntries(back) };
  return post(server.token_endpoint, {
    grant_type: 'authorization_code', client_id: client, redirect_uri: callback, code: back.get('code'), code_verifier: verifier,
    ...(resource && { resource }) });
}

// A browser of the poorest kind: cookies, redirects, forms. Ends where the callback begins.
const entities = { '&quot;': '"', '&#39;': "'", '&#x3D;': '=', '&lt;': '<', '&gt;': '>', '&amp;': '&' };
function attribute(tag, name) {
  const found = tag.match(new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i'));
  return found ? (found[1] ?? found[2]).replace(/&#?\w+;/g, entity => entities[entity] ?? entity) : undefined;
}

export async function login(address, callback, user, password) {
  const jar = new Map();
  let url = String(address), options = {};
  for (let step = 0; step < 40; step++) {
    const host = new URL(url).hostname, cookies = [...jar.values()].filter(c => c.host === host && new URL(url).pathname.startsWith(c.path));
    const answer = await fetch(url, { ...options, redirect: 'manual', signal: AbortSignal.timeout(60000),
      headers: { accept: 'text/html', ...options.headers, cookie: cookies.map(c => c.pair).join('; ') } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...more] = line.split(';').map(s => s.trim()), path = more.find(a => /^path=/i.test(a))?.slice(5) ?? '/';
      jar.set(`${host} ${path} ${pair.split('=')[0]}`, { host, path, pair });
    }
    const html = await answer.text(), next = answer.headers.get('location');
    if (next) {
      url = new URL(next, url).href;
      if (url.startsWith(callback)) return url;
      options = {};
      continue;
    }
    const [, tag, inside] = html.match(/<form\b([^>]*)>([^]*?)<\/form>/i) ?? [];
    if (!tag) throw new Error(`no form at ${url.split('?')[0]} (${answer.status})`);
    const form = new URLSearchParams();
    for (const [field] of inside.matchAll(/<input\b[^>]*>/gi)) {
      const name = attribute(field, 'name'), type = attribute(field, 'type');
      if (!name || ['checkbox', 'submit', 'button'].includes(type)) continue;
      form.set(name, type === 'password' ? password : ['username', 'login'].includes(name) ? user : attribute(field, 'value') ?? '');
    }
    url = new URL(attribute(tag, 'action') ?? '', url).href;
    options = { method: 'POST', body: form };
  }
  throw new Error('the login does not end');
}

// --- DPoP ------------------------------------------------------------------------------------------------------------------

// Holds a key and proves it (RFC 9449).
export class Prover {
  static async create(alg = 'ES256') {
    const self = new Prover(), pair = await generateKeyPair(alg, { extractable: true });
    self.alg = alg;
    self.key = pair.privateKey;
    self.jwk = await exportJWK(pair.publicKey);
    self.jkt = await calculateJwkThumbprint(self.jwk);
    return self;
  }

  proof(url, { method = 'POST', token, nonce, age = 0, ...more } = {}) {
    return new SignJWT({
      jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000) - age, ...(nonce && { nonce }),
      ...(token && { ath: createHash('sha256').update(token).digest('base64url') }), ...more,
    }).setProtectedHeader({ typ: 'dpop+jwt', alg: this.alg, jwk: this.jwk }).sign(this.key);
  }

  // What call() takes.
  async credentials(token, url, options = {}) {
    return { token, scheme: 'DPoP', proof: await this.proof(url, { token, ...options }) };
  }
}
