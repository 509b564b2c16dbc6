// What the page under test does, in the browser, with fetch alone. Which part it plays is in the query: ?name=PART&pages=URL.
// Reports a line "ok TEXT" or "FAIL TEXT" for each thing tried, then "end N"; browser.sh waits for that.
const query = new URLSearchParams(location.search), name = query.get('name'), pages = query.get('pages');
const MODERN = '2026-07-28', LEGACY = '2025-11-25', LIMIT = 15000;
let checks = 0, id = 0, config;

const say = line => fetch(`${pages}/report/${name}`, { method: 'POST', body: line });
async function check(what, good, ...seen) {
  checks++;
  const told = seen.map(s => (typeof s === 'string' ? s : JSON.stringify(s) ?? 'undefined')).join(' ').slice(0, 300);
  await say(`${good ? 'ok' : 'FAIL'} ${what}${told ? `: ${told}` : ''}`);
}
const sleep = ms => new Promise(done => setTimeout(done, ms));

// --- requests

const rpc = (method, params = {}) => ({ jsonrpc: '2.0', id: ++id, method, params });
const call = (tool, args = {}, more = {}) => rpc('tools/call', { name: tool, arguments: args, ...more });
const bearer = token => (token ? { authorization: `Bearer ${token}` } : {});
const send = (url, init) => fetch(url, { signal: AbortSignal.timeout(LIMIT), ...init });
const post = (url, body, { token, headers, ...init } = {}) => send(url, {
  method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...bearer(token), ...headers }, ...init,
});
const withToken = (url, method, token, headers) => send(url, { method, headers: { ...bearer(token), ...headers } });

// The answer with its body, or { failed: name of the error }.
async function outcome(promise) {
  try {
    const answer = await promise, text = await answer.text();
    let json;
    try { json = JSON.parse(text); } catch { }
    return { status: answer.status, type: answer.type, get: field => answer.headers.get(field), text, json };
  } catch (e) { return { failed: e.name, get: () => null }; }
}

// fetch tells a page nothing but TypeError about what CORS does not let it see; a timeout would be another error.
async function blocked(what, promise) {
  const out = await outcome(promise);
  await check(`${what}: the page learns nothing`, out.failed === 'TypeError', out.failed ?? out.status, out.text ?? '');
}

// Reads server-sent events until one satisfies enough, or the end; each with the time it came.
async function events(answer, enough = () => false) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(), seen = [];
  for (let buffer = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return seen;
    buffer += value;
    for (let end; (end = /\r?\n\r?\n/.exec(buffer));) {
      const lines = buffer.slice(0, end.index).split(/\r?\n/), data = lines.filter(l => l.startsWith('data:')).map(l => l.slice(5).trim()).join('\n');
      buffer = buffer.slice(end.index + end[0].length);
      if (!data) continue;
      seen.push({ at: performance.now(), id: lines.find(l => l.startsWith('id:'))?.slice(3).trim(), json: JSON.parse(data) });
      if (enough(seen.at(-1))) { await reader.cancel(); return seen; }
    }
  }
}
const isEvents = answer => /^text\/event-stream/.test(answer.headers.get('content-type') ?? '');
const messages = async answer => (isEvents(answer) ? (await events(answer)).map(e => e.json) : [await answer.json()]);
const resultOf = async answer => (await messages(answer)).find(m => m.id !== undefined && !m.method);
const textOf = message => message?.result?.content?.[0]?.text ?? '';
const parameter = (challenge, key) => new RegExp(`${key}="([^"]*)"`).exec(challenge ?? '')?.[1];

// --- what a client does that knows nothing but the URL

async function discovers(url) {
  const out = await outcome(post(url, rpc('ping'))), challenge = out.get('www-authenticate');
  await check('COR-5 without a token: 401, and its JSON can be read', out.status === 401 && out.json?.error === 'unauthorized' && out.json.request_id, out.status ?? out.failed, out.text);
  await check('COR-4 WWW-Authenticate can be read on a 401', challenge?.startsWith('Bearer ') && parameter(challenge, 'scope') === 'mcp:use' && !/error=/.test(challenge), challenge);
  const where = parameter(challenge, 'resource_metadata');
  const plain = await outcome(send(where)), asked = await outcome(send(where, { headers: { 'MCP-Protocol-Version': MODERN, Accept: 'application/json' } }));
  await check('the metadata that it names', plain.status === 200 && plain.json?.resource === url, plain.status ?? plain.failed, plain.text);
  await check('COR-1 the same with MCP-Protocol-Version, by a preflight', asked.status === 200 && asked.json?.authorization_servers?.[0] === config.issuer, asked.status ?? asked.failed);
}

async function isRefused(url) {
  const bad = await outcome(post(url, rpc('ping'), { token: 'not.a.token' }));
  await check('COR-5 a bad token: 401 invalid_token', bad.status === 401 && parameter(bad.get('www-authenticate'), 'error') === 'invalid_token', bad.status ?? bad.failed);
  const bare = await outcome(post(url, rpc('ping'), { token: config.tokens.bare })), challenge = bare.get('www-authenticate');
  await check('COR-5 a token without the scope of the location: 403 insufficient_scope', bare.status === 403 && parameter(challenge, 'error') === 'insufficient_scope' &&
    parameter(challenge, 'scope') === 'mcp:use' && bare.json?.error === 'insufficient_scope', bare.status ?? bare.failed, challenge ?? '');
  const body = call('divide', { a: 84, b: 2 }), user = await outcome(post(url, body, { token: config.tokens.user })), more = user.get('www-authenticate');
  await check('COR-5 a tool beyond the scopes: 403, the challenge names all that it takes', user.status === 403 && parameter(more, 'error') === 'insufficient_scope' &&
    parameter(more, 'scope') === 'mcp:use mcp:admin', user.status ?? user.failed, more ?? '');
  await check('the same: a JSON-RPC error with the id of the request', user.json?.error?.code === 403 && user.json.id === body.id && user.json.error.data?.request_id, user.text ?? '');
}

// text/plain is what a page may send without asking; with a token it has to ask after all.
async function plainText(url) {
  const headers = { 'content-type': 'text/plain', accept: '*/*' };
  const simple = await outcome(post(`${url}?simple`, rpc('ping'), { headers }));
  await check('COR-8 text/plain, no preflight, so no token: 401', simple.status === 401, simple.status ?? simple.failed);
  const plain = await outcome(post(url, rpc('ping'), { headers, token: config.tokens.admin }));
  await check('COR-8 text/plain with a token: 415, and it can be read', plain.status === 415 && plain.json?.error === 'unsupported_media_type', plain.status ?? plain.failed, plain.text ?? '');
}

// --- calling

async function withSession(url) {
  const token = config.tokens.user, start = await post(url, rpc('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'page', version: '1' } }), { token });
  const session = start.headers.get('mcp-session-id'), result = await resultOf(start);
  await check('initialize', start.status === 200 && result?.result?.protocolVersion === LEGACY, start.status);
  await check('COR-4 Mcp-Session-Id can be read on a 200', session, session);
  await check('COR-7 what else the backend would expose cannot', start.headers.get('x-inner') === null, start.headers.get('x-inner'));
  const h = { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': LEGACY };
  const ready = await outcome(post(url, { jsonrpc: '2.0', method: 'notifications/initialized' }, { token, headers: h }));
  await check('a notification: 202 without a body', ready.status === 202 && ready.text === '', ready.status ?? ready.failed);

  const answer = await post(url, call('add', { a: 2, b: 40 }, { _meta: { progressToken: 'p' } }), { token, headers: { ...h, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'add', 'Mcp-Param-Region': 'eu-west' } });
  const streams = isEvents(answer), seen = await events(answer), first = seen[0], last = seen.at(-1);
  await check('tools/call: a stream of events', answer.status === 200 && streams && seen.length === 2 && last.json.result, answer.status, seen.map(e => e.json.method ?? 'result'));
  await check('each event comes at once', last?.at - first?.at > 250, Math.round(last?.at - first?.at), 'ms between them');
  const got = JSON.parse(textOf(last?.json) || '{}');
  await check('COR-3 Mcp-Param-Region and the other Mcp headers arrive', got['mcp-param-region'] === 'eu-west' && got['mcp-method'] === 'tools/call' && got['mcp-name'] === 'add' &&
    got['mcp-protocol-version'] === LEGACY, got['mcp-param-region'], got['mcp-name']);
  await check('the token does not arrive', got.host && got.authorization === undefined, got.authorization === undefined ? 'none' : 'a token');

  const stream = await withToken(url, 'GET', token, { ...h, accept: 'text/event-stream' }), heard = await events(stream, () => true);
  await check('GET: a stream', stream.status === 200 && heard[0]?.id === '1', stream.status, heard[0]?.id);
  const resumed = await withToken(url, 'GET', token, { ...h, accept: 'text/event-stream', 'Last-Event-ID': '1' }), again = await events(resumed, () => true);
  await check('COR-3 GET with Last-Event-ID: it goes on', resumed.status === 200 && again[0]?.id === '2', resumed.status, again[0]?.id);
  const end = await outcome(withToken(url, 'DELETE', token, h));
  await check('COR-2 DELETE ends the session', end.status === 204, end.status ?? end.failed);
  const after = await outcome(post(url, rpc('tools/list'), { token, headers: h }));
  await check('COR-5 the 404 of the backend can be read', after.status === 404 && after.json?.error, after.status ?? after.failed, after.text ?? '');
}

async function modern(url) {
  const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientInfo': { name: 'page', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {} };
  const body = (method, params = {}) => rpc(method, { ...params, _meta: { ...meta, ...params._meta } }), token = config.tokens.user;
  const headers = (method, tool) => ({ 'MCP-Protocol-Version': MODERN, 'Mcp-Method': method, ...(tool && { 'Mcp-Name': tool }) });
  const about = await post(url, body('server/discover'), { token, headers: headers('server/discover') });
  await check('server/discover', about.status === 200 && (await resultOf(about))?.result, about.status);
  const answer = await post(url, body('tools/call', { name: 'headers', arguments: {} }), { token, headers: { ...headers('tools/call', 'headers'), 'Mcp-Param-Region': 'eu-west' } });
  const got = JSON.parse(textOf(await resultOf(answer)) || '{}');
  await check('COR-3 tools/call with all Mcp headers, Mcp-Param-Region too', answer.status === 200 && got['mcp-param-region'] === 'eu-west' && got['mcp-name'] === 'headers', answer.status, got['mcp-param-region'], got['mcp-name']);
  const slow = await post(url, body('tools/call', { name: 'slow', arguments: { seconds: 1.2, steps: 3 }, _meta: { progressToken: 'p' } }), { token, headers: headers('tools/call', 'slow') });
  const streams = isEvents(slow), seen = await events(slow), progress = seen.filter(e => e.json.method === 'notifications/progress'), last = seen.at(-1);
  await check('tools/call: a stream of events, each at once', streams && progress.length === 3 && last.json.result && last.at - progress[0].at > 500, seen.map(e => e.json.method ?? 'result'));
  const wrong = await outcome(post(url, body('tools/call', { name: 'headers', arguments: {} }), { token, headers: headers('tools/call', 'add') }));
  await check('COR-5 another tool in Mcp-Name: 400 -32020 can be read', wrong.status === 400 && wrong.json?.error?.code === -32020, wrong.status ?? wrong.failed, wrong.text ?? '');
}

async function stateless(url) {
  const token = config.tokens.user, start = await post(url, rpc('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'page', version: '1' } }), { token });
  await check('an older client: initialize', start.status === 200 && (await resultOf(start))?.result?.serverInfo, start.status);
  const sum = await post(url, call('add', { a: 2, b: 40 }), { token, headers: { 'MCP-Protocol-Version': LEGACY } });
  await check('an older client: tools/call', textOf(await resultOf(sum)) === '42', sum.status);
  const get = await outcome(withToken(url, 'GET', token, { accept: 'text/event-stream' }));
  await check('COR-5 the 405 of the server can be read', get.status === 405, get.status ?? get.failed);
}

async function errors(url) {
  const token = config.tokens.user, read = promise => outcome(promise);
  const broken = await read(post(url, '{"jsonrpc":"2.0",', { token }));
  await check('COR-5 no JSON: 400 -32700 can be read', broken.status === 400 && broken.json?.error?.code === -32700, broken.status ?? broken.failed, broken.text ?? '');
  const large = await read(post(url, rpc('ping', { filler: 'x'.repeat(2 << 20) }), { token }));
  await check('COR-5 too large: 413 can be read', large.status === 413 && large.json?.error === 'payload_too_large', large.status ?? large.failed, large.text ?? '');
  const two = await read(post(`${url}?access_token=${token}`, rpc('ping'), { token }));
  await check('COR-5 the token twice: 400 invalid_request can be read', two.status === 400 && parameter(two.get('www-authenticate'), 'error') === 'invalid_request', two.status ?? two.failed, two.text ?? '');
  const down = await read(post(`${config.gateway}/down/mcp`, rpc('ping'), { token: config.tokens.other }));
  await check('COR-5 no keys: 503 and Retry-After can be read', down.status === 503 && down.json?.error === 'temporarily_unavailable' && Number(down.get('retry-after')) > 0, down.status ?? down.failed, down.get('retry-after') ?? '');
  const gone = await read(post(`${config.gateway}/gone/mcp`, rpc('ping'), { token }));
  await check('COR-5 no backend: the 503 of httpd can be read', gone.status === 503, gone.status ?? gone.failed);
}

// --- limits of what is granted

async function limits(url) {
  const token = config.tokens.user;
  for (let i = 0; i < 3; i++) await outcome(post(`${url}?again`, rpc('ping'), { token }));
  await blocked('COR-2 PUT is not granted', withToken(url, 'PUT', token));
  await blocked('COR-3 another header is not granted', post(url, rpc('ping'), { token, headers: { 'X-Other': '1' } }));
  await blocked('COR-6 cookies are not granted', post(url, rpc('ping'), { token, credentials: 'include' }));
}

// A frame whose origin is "null" tries the same, and tells.
function fromSandbox(url) {
  const frame = document.createElement('iframe'), init = { method: 'POST', body: JSON.stringify(rpc('ping')), headers: { 'content-type': 'application/json', ...bearer(config.tokens.user) } };
  frame.sandbox = 'allow-scripts';
  frame.srcdoc = `<script>fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(r => r.status, e => e.name).then(t => parent.postMessage(t, '*'))</script>`;
  return new Promise(done => {
    const listen = e => { if (e.source === frame.contentWindow) { removeEventListener('message', listen); frame.remove(); done(e.data); } };
    addEventListener('message', listen);
    setTimeout(() => done('no answer'), LIMIT);
    document.documentElement.append(frame);
  });
}

async function controls() {
  const double = await outcome(send(`${config.backend}/double/control`)), single = await outcome(send(`${config.backend}/wild/control`));
  await check('this browser refuses a doubled Access-Control-Allow-Origin', double.failed === 'TypeError' && single.status === 200, double.failed ?? double.status, single.status ?? single.failed);
}

// --- the parts

const any = () => `${config.gateway}/any/mcp`, listed = () => `${config.gateway}/listed/mcp`, sdk = () => `${config.gateway}/sdk/mcp`;
const token = () => ({ token: config.tokens.admin });

async function isListed() {
  await controls();
  await discovers(listed());
  await isRefused(listed());
  await withSession(listed());
  await plainText(listed());
  await limits(listed());
  const doubled = await outcome(post(any(), rpc('ping'), token()));
  await check('COR-7 a backend that sends Access-Control-Allow-Origin twice can be read', doubled.status === 200 && doubled.json?.result, doubled.status ?? doubled.failed);
  await blocked('TRN-2 listed elsewhere only', post(sdk(), rpc('ping'), token()));
  const refused = [await fromSandbox(listed()), await fromSandbox(sdk())], open = await fromSandbox(any());
  await check('TRN-2 the origin "null" is refused', refused.every(r => r === 'TypeError'), refused);
  await check('TRN-2 the origin "null" passes where all do', open === 200, open);
}

async function isLoopback() {
  await discovers(sdk());
  await isRefused(sdk());
  await modern(sdk());
  await stateless(sdk());
  await plainText(sdk());
  await errors(sdk());
  await blocked('TRN-3 a list replaces the default', post(listed(), rpc('ping'), token()));
}

const cacheable = () => `${any()}?cacheable`;

// The page of the resource's own origin; neighbour is its neighbour in the same site, and shares the browser's cache with it.
async function isOwn() {
  const none = await outcome(post(sdk(), rpc('ping'))), ping = await post(sdk(), rpc('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'page', version: '1' } }), token());
  await check('TRN-3 its own origin, without a token: 401', none.status === 401 && none.get('www-authenticate'), none.status ?? none.failed);
  await check('TRN-3 its own origin: 200', ping.status === 200 && (await resultOf(ping))?.result, ping.status);
  const refused = await outcome(post(listed(), rpc('ping'), token()));
  await check('TRN-2 its own origin is refused where a list does not name it', refused.status === 403 && refused.json?.error === 'forbidden' && !refused.get('www-authenticate'), refused.status ?? refused.failed, refused.text ?? '');
  const [first, second] = [await outcome(withToken(cacheable(), 'GET', config.tokens.user)), await outcome(withToken(cacheable(), 'GET', config.tokens.user))];
  await check('an answer that the browser keeps', first.status === 200 && second.status === 200 && first.text === second.text, first.status ?? first.failed, first.text ?? '', second.text ?? '');
}

async function isNeighbour() {
  const out = await outcome(withToken(cacheable(), 'GET', config.tokens.user));
  await check('COR-6 Vary: an answer kept for a page of another origin does not get in the way', out.status === 200, out.status ?? out.failed, out.text ?? '');
}

async function isForeign() {
  const stolen = token(), control = await outcome(post(any(), rpc('ping'), stolen)), around = await outcome(send(`${config.backend}/wild/control`));
  await check('from here, a location for all origins can be read', control.status === 200, control.status ?? control.failed);
  await check('from here, the backend could be read without the gateway', around.status === 200, around.status ?? around.failed);
  for (const [where, url] of [['listed', listed()], ['default', sdk()]]) {
    const headers = { 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'add', 'Mcp-Param-Region': 'eu' };
    await blocked(`TRN-1 ${where}: POST without a token`, post(url, rpc('ping')));
    await blocked(`TRN-1 ${where}: POST with a stolen token`, post(url, rpc('ping'), stolen));
    await blocked(`TRN-1 ${where}: tools/call with all Mcp headers`, post(url, call('add', { a: 1, b: 2 }), { ...stolen, headers }));
    await blocked(`TRN-1 ${where}: GET with a stolen token`, withToken(url, 'GET', stolen.token, { accept: 'text/event-stream' }));
    await blocked(`TRN-1 ${where}: GET without anything`, send(url));
    await blocked(`TRN-1 ${where}: DELETE with a stolen token`, withToken(url, 'DELETE', stolen.token));
    await blocked(`COR-8 ${where}: text/plain without preflight`, send(`${url}?simple`, { method: 'POST', body: JSON.stringify(rpc('ping')) }));
    await blocked(`COR-8 ${where}: the token in the query`, send(`${url}?access_token=${stolen.token}`, { method: 'POST', body: JSON.stringify(rpc('ping')) }));
    const opaque = await outcome(send(url, { method: 'POST', mode: 'no-cors', body: JSON.stringify(rpc('ping')) }));
    await check(`TRN-1 ${where}: no-cors shows nothing`, opaque.failed === 'TypeError' || (opaque.type === 'opaque' && opaque.status === 0 && opaque.text === ''), opaque.type ?? opaque.failed);
    await formPosts(url, where);
    await socket(url, where);
  }
  const metadata = await outcome(send(`${config.gateway}/.well-known/oauth-protected-resource/sdk/mcp`));
  await check('the metadata is for all, whatever the list says', metadata.status === 200 && metadata.json?.resource === sdk(), metadata.status ?? metadata.failed);
}

// A form needs no permission: it is sent, into a frame that this page cannot look into.
async function formPosts(url, where) {
  const frame = document.createElement('iframe'), form = document.createElement('form'), field = document.createElement('input');
  frame.name = `form-${where}`;
  Object.assign(form, { action: `${url}?form`, method: 'post', enctype: 'text/plain', target: frame.name });
  [field.name, field.value] = ['{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"', '"}}'];
  form.append(field);
  document.documentElement.append(frame, form);
  await sleep(50);
  const loaded = new Promise(done => { frame.onload = () => done(true); setTimeout(() => done(false), LIMIT); });
  form.submit();
  const came = await loaded;
  let inside;
  try { inside = frame.contentDocument?.documentElement?.textContent ?? null; } catch { inside = null; }
  await check(`TRN-1 ${where}: a form is sent, its answer stays closed`, came && inside === null, came, inside ?? 'closed');
  frame.remove();
}

async function socket(url, where) {
  const end = await new Promise(done => {
    const ws = new WebSocket(url.replace(/^http/, 'ws'));
    ws.onopen = () => done('open');
    ws.onerror = () => done('error');
    setTimeout(() => done('no answer'), LIMIT);
  });
  await check(`TRN-1 ${where}: no WebSocket`, end === 'error', end);
}

// DNS rebinding: to the browser the gateway is this page's own origin, so that it may read everything. Only the gateway can refuse.
async function isRebound() {
  for (const where of ['sdk', 'listed']) {
    const url = `/${where}/mcp`, made = await outcome(post(url, call('add', { a: 2, b: 40 }), token())), bare = await outcome(post(url, rpc('ping')));
    await check(`TRN-1 ${where}: DNS rebinding: POST: 403`, made.status === 403 && made.json?.error === 'forbidden' && !made.json.result, made.status ?? made.failed, made.text ?? '');
    await check(`TRN-1 ${where}: DNS rebinding: no challenge is shown`, bare.status === 403 && !bare.get('www-authenticate'), bare.status ?? bare.failed);
    const gone = await outcome(withToken(url, 'DELETE', config.tokens.admin)), get = await outcome(send(url));
    await check(`TRN-1 ${where}: DNS rebinding: DELETE: 403`, gone.status === 403, gone.status ?? gone.failed);
    await check(`TRN-1 ${where}: DNS rebinding: GET, which has no Origin, takes a token: 401`, get.status === 401, get.status ?? get.failed);
  }
}

const parts = { listed: isListed, loopback: isLoopback, own: isOwn, neighbour: isNeighbour, foreign: isForeign, rebound: isRebound };

(async () => {
  try {
    config = await (await fetch(`${pages}/config`)).json();
    await parts[name]();
  } catch (e) { await check('no surprise', false, `${e.stack ?? e}`); }
  await say(`end ${checks}`);
  const next = query.get('next');
  if (next) location.href = next;
})();
