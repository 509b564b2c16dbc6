// A real MCP client on the official TypeScript SDK, v1 (@modelcontextprotocol/sdk) or v2 (@modelcontextprotocol/client).
// usage: node client.mjs SDK ERA URL TOKEN_DIR      SDK 1|2; ERA legacy|auto; tokens: see run.sh
// Prints one "ok" or "FAIL" line for each thing tried; exit 0 only if there was no FAIL.
import { readFileSync } from 'node:fs';

const [sdk, era, address, folder] = process.argv.slice(2), url = new URL(address), v2 = sdk === '2';
const { Client } = await import(v2 ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await import(v2 ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/streamableHttp.js');
const types = v2 ? {} : await import('@modelcontextprotocol/sdk/types.js');
const kind = url.pathname.split('/')[1], everything = kind === 'everything';
const METADATA = `${url.origin}/.well-known/oauth-protected-resource${url.pathname}`;
const TIMEOUT = 10000;

let failed = 0;
const check = (what, ok, seen = '') => { failed += !ok; console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${seen === '' ? '' : `: ${String(seen).replace(/\s+/g, ' ').slice(0, 240)}`}`); };
const sleep = ms => new Promise(done => setTimeout(done, ms));
const until = async (test, ms = 5000) => { for (let t = 0; t < ms && !test(); t += 20) await sleep(20); return test(); };
const token = name => readFileSync(`${folder}/${name}.token`, 'utf8').trim();
const numberOf = result => Number(result?.content?.[0]?.text?.match(/-?\d+(\.\d+)?(?!.*\d)/)?.[0]);

// One client, with all it heard. name: the token to use, undefined for none.
async function connected(name, work) {
  const seen = { http: [], notes: [], asked: [] };
  const spy = async (input, init) => {
    const answer = await fetch(input, init);
    seen.http.push({ method: init?.method ?? 'GET', status: answer.status, challenge: answer.headers.get('www-authenticate') ?? '' });
    return answer;
  };
  const client = new Client({ name: `e2e-ts-${sdk}`, version: '1' }, {
    capabilities: { sampling: {}, elicitation: {}, roots: {} }, ...(v2 && { versionNegotiation: { mode: era } }) });
  const on = (method, schema, reply) => client.setRequestHandler(v2 ? method : types[schema], () => { seen.asked.push(method); return reply; });
  on('sampling/createMessage', 'CreateMessageRequestSchema', { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled-here' } });
  on('elicitation/create', 'ElicitRequestSchema', { action: 'accept', content: { name: 'Ada' } });
  on('roots/list', 'ListRootsRequestSchema', { roots: [{ uri: 'file:///tmp', name: 'tmp' }] });
  client.setNotificationHandler(v2 ? 'notifications/tools/list_changed' : types.ToolListChangedNotificationSchema, () => { seen.notes.push('list_changed'); });
  const transport = new StreamableHTTPClientTransport(url, { fetch: spy, requestInit: { headers: { 'x-mcp-user': 'forged', ...(name && { authorization: `Bearer ${token(name)}` }) } } });
  let error;
  try { await client.connect(transport, { timeout: TIMEOUT }); } catch (e) { error = e; }
  try { await work({ client, transport, seen, error }); } finally { await client.close().catch(() => { }); }
}
const call = (client, name, args = {}, options = {}) => client.callTool({ name, arguments: args }, ...(v2 ? [] : [undefined]), { timeout: TIMEOUT, ...options });

async function allowed({ client, transport, seen, error }) {
  if (error) return check('connect', false, `${error.name} ${error.message} ${JSON.stringify(seen.http)}`);
  const version = (v2 ? client.getNegotiatedProtocolVersion?.() : undefined) ?? transport.protocolVersion, modern = version >= '2026';
  const expected = v2 && era === 'auto' && ['python2', 'ts2'].includes(kind) ? '2026-07-28' : '2025-11-25';
  check(modern ? 'discover' : 'initialize', version === expected, version);

  const tools = (await client.listTools(undefined, { timeout: TIMEOUT })).tools.map(t => t.name);
  check('tools/list', tools.includes(everything ? 'get-sum' : 'divide'), tools.length + ' tools');
  const sum = numberOf(await call(client, everything ? 'get-sum' : 'add', { a: 2, b: 40 }));
  check('tools/call', sum === 42, sum);
  const special = everything ? await call(client, 'echo', { message: 'x42' }) : await call(client, 'divide', { a: 84, b: 2 });
  check('tools/call of the tool that needs more scope', /42/.test(special?.content?.[0]?.text), special?.content?.[0]?.text);

  const begun = Date.now(), at = [];
  await call(client, everything ? 'trigger-long-running-operation' : 'slow', everything ? { duration: 1.5, steps: 3 } : { seconds: 1.5, steps: 3 }, { onprogress: () => at.push(Date.now() - begun) });
  const total = Date.now() - begun;
  check('progress arrives while the call runs', at.length > 0 && at[0] < total - 400, `at ${at.join(',')} of ${total} ms`);

  if (!everything) await identity(client);
  await serverAsks(client, seen, modern);
  await standing(client, transport, seen, modern);
  if (transport.sessionId) {
    await transport.terminateSession();
    const end = seen.http.find(h => h.method === 'DELETE');
    check('the session ends by DELETE', [200, 202, 204].includes(end?.status), end?.status);
  }
  // A client that tries server/discover first is told so by servers that do not know it, with 400.
  const codes = seen.http.map(h => h.status), rest = v2 && era === 'auto' && !modern && codes[0] === 400 ? codes.slice(1) : codes;
  check('nothing else was refused', !rest.some(c => [400, 401, 403, 413, 415, 500, 502, 503].includes(c)), codes.join(' '));
}

async function identity(client) {
  const text = (await call(client, 'headers')).content[0].text, headers = JSON.parse(text);
  check('the server sees the user, and no token', headers['x-mcp-user'] === 'admin' && !('authorization' in headers) && !text.includes(token('admin')), headers['x-mcp-user']);
}

async function serverAsks(client, seen, modern) {
  if (kind === 'ts2' && !modern) return; // without a session it cannot ask
  const tool = everything ? 'trigger-sampling-request' : 'ask', method = everything ? 'sampling/createMessage' : 'elicitation/create';
  const text = (await call(client, tool, everything ? { prompt: 'hi', maxTokens: 10 } : {}))?.content?.[0]?.text;
  check(`the server asks, the client answers (${method})`, seen.asked.includes(method) && /sampled-here|hello Ada/.test(text), text);
}

// What comes outside of any answer: on the GET stream, or on subscriptions/listen since 2026-07-28.
async function standing(client, transport, seen, modern) {
  if (modern) {
    const subscription = await client.listen({ toolsListChanged: true }, { timeout: TIMEOUT });
    await call(client, 'announce');
    check('subscriptions/listen brings a notification', await until(() => seen.notes.includes('list_changed')), seen.notes);
    await subscription.close();
    return;
  }
  const get = await until(() => seen.http.find(h => h.method === 'GET'));
  if (!transport.sessionId) return check('GET is answered by the server', get?.status === 405, get?.status);
  check('GET stream opens', get?.status === 200, get?.status);
  if (everything) return check('GET stream brings a request (roots/list)', await until(() => seen.asked.includes('roots/list')), seen.asked);
  await call(client, 'announce');
  check('GET stream brings a notification', await until(() => seen.notes.includes('list_changed')), seen.notes);
}

async function refusedTool({ client, transport, seen, error }) {
  if (error) return check('connect with the smaller token', false, error.message);
  let result;
  try { result = everything ? await call(client, 'echo', { message: 'x' }) : await call(client, 'divide', { a: 1, b: 1 }); } catch { }
  const no = seen.http.find(h => h.status === 403);
  check('the tool without its scope: 403, the scope is named', !result && /error="insufficient_scope"/.test(no?.challenge) && /scope="mcp:use mcp:admin"/.test(no?.challenge),
    no ? `${no.status} ${no.challenge}` : JSON.stringify(result ?? seen.http));
  const sum = numberOf(await call(client, everything ? 'get-sum' : 'add', { a: 2, b: 40 }).catch(e => ({ content: [{ text: e.message }] })));
  check('the same connection goes on after it', sum === 42, sum);
  if (transport.sessionId) await transport.terminateSession();
}

const refusedAtOnce = (what, test) => ({ seen, error }) => {
  const first = seen.http[0];
  check(`${what}: 401 at once`, error && seen.http.every(h => h.status === 401 || h.method === 'GET') && first?.status === 401
    && first.challenge.includes(`resource_metadata="${METADATA}"`) && test(first.challenge), first ? `${first.status} ${first.challenge}` : error?.message);
};

try {
  await connected('admin', allowed);
  await connected('user', refusedTool);
  await connected(undefined, refusedAtOnce('no token', c => !c.includes('error=')));
  for (const name of ['foreign', 'expired']) await connected(name, refusedAtOnce(`${name} token`, c => c.includes('error="invalid_token"')));
} catch (e) { check('no surprise', false, e.stack); }
process.exit(failed ? 1 : 0);
