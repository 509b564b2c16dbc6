// A backend with sessions (revision 2025-11-25) that believes everyone and sends CORS headers of its own.
// usage: node backend.mjs PORT
//   http://127.0.0.1:PORT/wild/…     Access-Control-Allow-Origin: *, with credentials and a list of exposed headers
//   http://127.0.0.1:PORT/double/…   the same, and the caller's origin in a second line
// A path that ends in /control is for pages that come straight to it.
import http from 'node:http';
import { randomUUID } from 'node:crypto';

const sessions = new Set();

function cors(req, res) {
  const origin = req.headers.origin ?? 'http://nobody.example';
  res.setHeader('Access-Control-Allow-Origin', req.url.startsWith('/double/') ? ['*', origin] : '*');
  res.setHeader('Access-Control-Allow-Credentials', 'true');
  res.setHeader('Access-Control-Allow-Methods', 'PUT');
  res.setHeader('Access-Control-Expose-Headers', 'X-Inner');
  res.setHeader('Vary', 'Accept');
  res.setHeader('X-Inner', 'inner');
}

function json(res, status, value, headers = {}) {
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  res.end(JSON.stringify(value));
}
const refuse = (res, status, id, message) => json(res, status, { jsonrpc: '2.0', id, error: { code: -32000, message } });

const event = (res, value, id) => res.write(`${id ? `id: ${id}\n` : ''}event: message\ndata: ${JSON.stringify(value)}\n\n`);
const stream = res => res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
const progress = n => ({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: n } });

// tools/call of any tool: one event at once, the answer half a second later; the answer holds the request's headers.
function call(req, res, message) {
  stream(res);
  event(res, progress(1));
  const text = JSON.stringify(req.headers);
  setTimeout(() => res.end(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [{ type: 'text', text }] } })}\n\n`), 500);
}

function post(req, res, message) {
  const session = req.headers['mcp-session-id'];
  if (message.method === 'initialize') {
    const id = randomUUID();
    sessions.add(id);
    return json(res, 200, { jsonrpc: '2.0', id: message.id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'lax', version: '1' } } },
      { 'Mcp-Session-Id': id });
  }
  if (message.method === 'ping') return json(res, 200, { jsonrpc: '2.0', id: message.id, result: {} });
  if (!session) return refuse(res, 400, message.id, 'no session');
  if (!sessions.has(session)) return refuse(res, 404, message.id, 'no such session');
  if (message.id === undefined) return res.writeHead(202).end();
  if (message.method === 'tools/call') return call(req, res, message);
  return refuse(res, 200, message.id, 'unknown method');
}

function get(req, res, url) {
  if (url.searchParams.has('cacheable')) return json(res, 200, { at: Date.now() }, { 'Cache-Control': 'private, max-age=600' });
  if (!sessions.has(req.headers['mcp-session-id'])) return refuse(res, 404, undefined, 'no such session');
  const last = Number(req.headers['last-event-id'] ?? 0);
  stream(res);
  return event(res, progress(last + 1), last + 1); // and stays open
}

http.createServer((req, res) => {
  const url = new URL(req.url, 'http://backend');
  let body = '';
  cors(req, res);
  if (url.pathname.endsWith('/control')) return json(res, 200, { control: true });
  if (req.method === 'GET') return get(req, res, url);
  if (req.method === 'DELETE') return res.writeHead(sessions.delete(req.headers['mcp-session-id']) ? 204 : 404).end();
  return req.on('data', chunk => { body += chunk; }).on('end', () => {
    try { post(req, res, JSON.parse(body)); } catch (e) { refuse(res, 500, undefined, e.message); }
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
