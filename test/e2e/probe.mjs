// Speaks raw Streamable HTTP, without any SDK, to one MCP endpoint: what real clients would not do, and when each byte came.
// usage: node probe.mjs http1|h2c URL TOKEN_DIR      tokens: see run.sh
// Prints one "ok" or "FAIL" line for each thing tried; exit 0 only if there was no FAIL.
import http from 'node:http';
import http2 from 'node:http2';
import { readFileSync } from 'node:fs';

const [protocol, address, folder] = process.argv.slice(2), url = new URL(address), h2 = protocol === 'h2c';
const kind = url.pathname.split('/')[1], everything = kind === 'everything';
const ADD = everything ? 'get-sum' : 'add', ADMIN = everything ? 'echo' : 'divide';
const ADMIN_ARGS = everything ? { message: 'ran' } : { a: 84, b: 2 }, RAN = everything ? 'Echo: ran' : '42';
const ACCEPT = { accept: 'application/json, text/event-stream' }, MODERN = '2026-07-28';
const token = name => readFileSync(`${folder}/${name}.token`, 'utf8').trim(), admin = token('admin'), user = token('user');

let failed = 0, id = 1;
const check = (what, ok, ...seen) => { failed += !ok; console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${seen.length ? `: ${seen.join(' ').replace(/\s+/g, ' ').slice(0, 240)}` : ''}`); };
const sleep = ms => new Promise(done => setTimeout(done, ms));
const limit = (promise, ms) => Promise.race([promise, sleep(ms)]);
const agent = new http.Agent({ keepAlive: true });
const session = h2 ? http2.connect(url.origin) : undefined;
session?.on('error', e => { console.log(`FAIL h2c connection: ${e.message}`); process.exit(1); });

// Feeds server-sent events to out.events, each with the time it came.
function events(out, begun, onEvent) {
  let buffer = '';
  return chunk => {
    for (buffer += chunk; ;) {
      const end = /\r?\n\r?\n/.exec(buffer);
      if (!end) return;
      const data = buffer.slice(0, end.index).split(/\r?\n/).filter(l => l.startsWith('data:')).map(l => l.slice(5).trim()).join('\n');
      buffer = buffer.slice(end.index + end[0].length);
      try { const event = { ms: Date.now() - begun, json: JSON.parse(data) }; out.events.push(event); onEvent?.(event); } catch { }
    }
  };
}

// Resolves when the head is there: { status, headers, events, done, close }; done resolves at the end, then body and total are set.
function send(method, headers, body, { bearer = admin, onEvent } = {}) {
  const begun = Date.now(), out = { events: [], body: '' };
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const all = { ...(payload !== undefined && { 'content-type': 'application/json' }), ...(bearer && { authorization: `Bearer ${bearer}` }), ...headers };
  return new Promise((resolve, reject) => {
    let finish;
    out.done = new Promise(done => { finish = done; });
    const feed = events(out, begun, onEvent);
    const data = chunk => { out.body += chunk; if (/event-stream/.test(out.headers['content-type'] ?? '')) feed(chunk); };
    const end = () => { out.total = Date.now() - begun; finish(out); };
    const head = (status, list) => { out.status = status; out.headers = list; out.head = Date.now() - begun; resolve(out); };
    if (h2) {
      const stream = session.request({ ':method': method, ':path': url.pathname, ...all }, { endStream: payload === undefined });
      stream.setEncoding('utf8').on('response', list => head(list[':status'], list)).on('data', data).on('end', end).on('error', e => { reject(e); end(); });
      out.close = () => stream.close(http2.constants.NGHTTP2_CANCEL);
      if (payload !== undefined) stream.end(payload);
    } else {
      const request = http.request(url, { method, agent, headers: { ...all, ...(payload !== undefined && { 'content-length': Buffer.byteLength(payload) }) } }, answer => {
        head(answer.statusCode, answer.headers);
        answer.setEncoding('utf8').on('data', data).on('end', end).on('error', end).on('close', end);
      });
      request.on('error', e => { reject(e); end(); });
      out.close = () => request.destroy();
      request.end(payload);
    }
  });
}
const request = (method, params = {}) => ({ jsonrpc: '2.0', id: id++, method, params });
const toolCall = (name, args, more = {}) => request('tools/call', { name, arguments: args, ...more });
async function exchange(headers, body, options) {
  const out = await send('POST', { ...ACCEPT, ...headers }, body, options);
  await limit(out.done, 15000);
  return out;
}
function answerOf(out) {
  try { return JSON.parse(out.body); } catch { return out.events.map(e => e.json).find(j => j.id !== undefined && !j.method); }
}
const textOf = out => answerOf(out)?.result?.content?.[0]?.text ?? '';

async function legacy() {
  const start = await exchange({}, request('initialize', { protocolVersion: '2025-11-25', capabilities: { sampling: {}, elicitation: {}, roots: {} }, clientInfo: { name: 'probe', version: '1' } }));
  const result = answerOf(start)?.result, sid = start.headers['mcp-session-id'];
  check('initialize', start.status === 200 && result, start.status, result?.protocolVersion, sid ? 'with session' : 'no session');
  if (!result) return;
  const h = { 'mcp-protocol-version': result.protocolVersion, ...(sid && { 'mcp-session-id': sid }) };
  const ready = await exchange(h, { jsonrpc: '2.0', method: 'notifications/initialized' });
  check('a notification is accepted', ready.status === 202, ready.status);

  const heard = [];
  const get = await limit(send('GET', { ...h, accept: 'text/event-stream' }, undefined, { onEvent: e => heard.push(e.json) }), 4000);
  check(sid ? 'GET stream: its head comes at once' : 'GET without session: 405 of the server', get?.status === (sid ? 200 : 405), get?.status, get?.head, 'ms');

  const sum = await exchange(h, toolCall(ADD, { a: 2, b: 40 }));
  check('tools/call', textOf(sum).includes('42'), sum.status, textOf(sum));
  await streaming(h);
  if (sid) await serverAsks(h, heard);
  await tricks(h);
  if (!sid) return;
  const end = await send('DELETE', h);
  await limit(end.done, 3000);
  check('DELETE ends the session', [200, 202, 204].includes(end.status), end.status);
  const after = await exchange(h, request('tools/list'));
  check('after DELETE the server refuses', after.status === 404 || after.status === 400, after.status);
  get?.close?.();
}

async function streaming(h) {
  const [name, args] = everything ? ['trigger-long-running-operation', { duration: 1.5, steps: 3 }] : ['slow', { seconds: 1.5, steps: 3 }];
  const out = await exchange(h, toolCall(name, args, { _meta: { progressToken: 'p' } })), at = out.events.filter(e => e.json.method === 'notifications/progress').map(e => e.ms);
  check('each event is passed on at once', at.length === 3 && at[0] < out.total - 400 && at[1] - at[0] > 300 && at[2] - at[1] > 300, `${at.join(',')} of ${out.total} ms`);
}

// The server asks in the middle of a call, on the stream of the call; the answer is a POST of its own.
async function serverAsks(h, heard) {
  const reply = { 'sampling/createMessage': { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled-here' } }, 'elicitation/create': { action: 'accept', content: { name: 'Ada' } } };
  let replied; // its own POST may end after the call that waited for it
  const onEvent = ({ json }) => {
    if (reply[json.method]) replied = exchange(h, { jsonrpc: '2.0', id: json.id, result: reply[json.method] });
  };
  const out = await exchange(h, everything ? toolCall('trigger-sampling-request', { prompt: 'hi', maxTokens: 10 }) : toolCall('ask', {}), { onEvent });
  const accepted = (await replied)?.status;
  check('a response of the client reaches the server', accepted === 202 && /sampled-here|hello Ada/.test(textOf(out)), accepted, textOf(out));
  if (everything) return;
  await exchange(h, toolCall('announce', {}));
  for (let t = 0; t < 3000 && !heard.length; t += 50) await sleep(50);
  check('a notification comes on the GET stream', heard.some(j => j.method === 'notifications/tools/list_changed'), heard.map(j => j.method));
}

// Each of these made one of these servers run a tool behind a gateway that looked elsewhere. The token may not call it.
// The request_id shows that it is the gateway who refuses, not the server by chance.
async function tricks(h) {
  const refused = async (what, status, headers, body) => {
    const out = await exchange({ ...h, ...headers }, body, { bearer: user });
    check(what, out.status === status && out.body.includes('request_id') && !out.body.replace(/"request_id":"[^"]*"/, '').includes(RAN), out.status, out.body);
  };
  const args = JSON.stringify(ADMIN_ARGS), admins = toolCall(ADMIN, ADMIN_ARGS);
  await refused('a header that names another tool than the body: 403', 403, { 'mcp-method': 'tools/call', 'mcp-name': ADD }, admins);
  await refused('the name twice in the body: 400', 400, {}, `{"jsonrpc":"2.0","id":${id++},"method":"tools/call","params":{"name":"${ADD}","name":"${ADMIN}","arguments":${args}}}`);
  await refused('params twice in the body: 400', 400, {}, `{"jsonrpc":"2.0","id":${id++},"method":"tools/call","params":{"name":"${ADD}"},"params":{"name":"${ADMIN}","arguments":${args}}}`);
  await refused('the tool in a batch: 400', 400, {}, [request('ping'), admins]);
  await refused('text/plain: 415', 415, { 'content-type': 'text/plain' }, admins);
  await refused('the name with an escape: 403', 403, {}, JSON.stringify(admins).replace(`"${ADMIN}"`, `"\\u00${ADMIN.charCodeAt(0).toString(16)}${ADMIN.slice(1)}"`));
}

async function modern() {
  const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientInfo': { name: 'probe', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {} };
  const body = (method, params = {}) => request(method, { ...params, _meta: { ...meta, ...params._meta } });
  const headers = (method, name) => ({ 'mcp-protocol-version': MODERN, 'mcp-method': method, ...(name && { 'mcp-name': name }) });
  const discover = await exchange(headers('server/discover'), body('server/discover'));
  check('2026-07-28: server/discover', discover.status === 200 && answerOf(discover)?.result, discover.status);
  const sum = await exchange(headers('tools/call', 'add'), body('tools/call', { name: 'add', arguments: { a: 2, b: 40 } }));
  check('2026-07-28: tools/call', textOf(sum).includes('42'), sum.status, textOf(sum));

  const good = headers('tools/call', 'add'), without = name => Object.fromEntries(Object.entries(good).filter(([k]) => k !== name));
  for (const [what, list] of [['another tool in Mcp-Name', { ...good, 'mcp-name': 'slow' }], ['another method in Mcp-Method', { ...good, 'mcp-method': 'tools/list' }],
    ['no Mcp-Name', without('mcp-name')], ['no Mcp-Method', without('mcp-method')], ['another revision in the header than in the body', { ...good, 'mcp-protocol-version': '2025-06-18' }]]) {
    const out = await exchange(list, body('tools/call', { name: 'add', arguments: { a: 2, b: 40 } }));
    check(`2026-07-28: ${what}: 400 -32020, of the gateway`, out.status === 400 && answerOf(out)?.error?.code === -32020 && answerOf(out).error.data?.request_id, out.status, out.body);
  }

  const heard = [];
  const listen = await limit(send('POST', { ...ACCEPT, ...headers('subscriptions/listen') }, body('subscriptions/listen', { notifications: { toolsListChanged: true } }), { onEvent: e => heard.push(e.json.method) }), 4000);
  await exchange(headers('tools/call', 'announce'), body('tools/call', { name: 'announce', arguments: {} }));
  for (let t = 0; t < 3000 && !heard.includes('notifications/tools/list_changed'); t += 50) await sleep(50);
  check('2026-07-28: subscriptions/listen streams', listen?.status === 200 && heard.includes('notifications/tools/list_changed'), listen?.status, heard.join(','));
  listen?.close?.();
}

try {
  await legacy();
  if (['python2', 'ts2'].includes(kind)) await modern();
} catch (e) { check('no surprise', false, e.stack); }
process.exit(failed ? 1 : 0);
