// A real MCP client on the official TypeScript SDK, with the SDK's own OAuth code; only the user is played.
// usage: node client.mjs 1|2 '{"url", "callback", "user", "password", "login": "forms"|"chromium", "client_id", "steps"}'
// SDK 1 is @modelcontextprotocol/sdk, 2 is @modelcontextprotocol/client. Without client_id the client registers itself. steps:
// "list", or tools to call. Prints what happened, as JSON: {"protocol", "http", "logins", "tokens", "results", "error"}.
import { visitor } from './login.mjs';

const [sdk, text] = process.argv.slice(2), v2 = sdk === '2', wish = JSON.parse(text), url = new URL(wish.url);
const from = one => import(v2 ? '@modelcontextprotocol/client' : `@modelcontextprotocol/sdk/client/${one}.js`);
const { Client } = await from('index'), { UnauthorizedError } = await from('auth');
const { StreamableHTTPClientTransport } = await from('streamableHttp');

const TIMEOUT = 30000, LOGINS = 3;
const ARGUMENTS = { add: { a: 2, b: 40 }, multiply: { a: 6, b: 7 }, divide: { a: 84, b: 2 } };
const report = { http: [], logins: [], tokens: [], results: {} };
const browser = await visitor(wish.login);

async function watched(input, init) {
  const answer = await fetch(input, init), { origin, pathname } = new URL(input.url ?? input);
  let rpc;
  try { rpc = JSON.parse(init.body); } catch { }
  const what = rpc?.jsonrpc ? [rpc.method, rpc.params?.name].filter(Boolean).join(' ') : null;
  report.http.push({ method: init?.method ?? 'GET', url: origin + pathname, status: answer.status, rpc: what,
    challenge: answer.headers.get('www-authenticate') ?? '' });
  return answer;
}

// What the SDK asks its application for: memory, and a way to the user.
class Application {
  client = wish.client_id && { client_id: wish.client_id };
  redirectUrl = wish.callback;
  clientMetadata = {
    client_name: `TypeScript SDK ${sdk}`, redirect_uris: [wish.callback], grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'], token_endpoint_auth_method: 'none', ...(v2 && { application_type: 'native' }) };
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; report.tokens.push(tokens.scope ?? ''); }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  discoveryState() { return this.discovered; }
  saveDiscoveryState(state) { this.discovered = state; }
  redirectToAuthorization(address) {
    const login = {};
    for (const name of ['scope', 'resource', 'code_challenge_method', 'prompt']) login[name] = address.searchParams.get(name);
    report.logins.push(login);
    this.visit = browser.login(address, wish.callback, wish.user, wish.password).then(({ callback, pages }) => {
      login.pages = pages;
      return new URL(callback).searchParams;
    });
    this.visit.catch(() => {});
  }
}

const application = new Application();
let transport, client;
function renew() {
  transport = new StreamableHTTPClientTransport(url, { authProvider: application, fetch: watched });
  client = new Client({ name: `typescript-sdk-${sdk}`, version: '1' }, {
    capabilities: {}, ...(v2 && { versionNegotiation: { mode: 'auto' } }) });
}

// What needs a login ends with UnauthorizedError; it is done again when the user is back.
async function authorized(work, again = () => {}) {
  for (let i = 0; ; i++) {
    try { return await work(); } catch (error) {
      const unauthorized = [error, error?.cause].some(e => e instanceof UnauthorizedError);
      if (!unauthorized || !application.visit || i === LOGINS) throw error;
      const back = await application.visit;
      application.visit = undefined;
      if (!back.get('code')) throw new Error(`Keycloak answers ${back.get('error')}: ${back.get('error_description')}`);
      await transport.finishAuth(v2 ? back : back.get('code'));
      again();
    }
  }
}

async function step(name) {
  if (name === 'list') return (await client.listTools(undefined, { timeout: TIMEOUT })).tools.map(tool => tool.name);
  const schema = v2 ? [] : [undefined]; // SDK 1 wants one in the second place
  const result = await client.callTool({ name, arguments: ARGUMENTS[name] ?? {} }, ...schema, { timeout: TIMEOUT });
  if (result.isError) throw new Error(result.content?.[0]?.text);
  return result.content[0].text;
}

try {
  renew();
  await authorized(() => client.connect(transport, { timeout: TIMEOUT }), renew);
  report.protocol = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion;
  for (const name of wish.steps) {
    report.results[name] = await authorized(() => step(name)).then(value => ({ value }), error => ({ error: String(error) }));
  }
  await client.close();
} catch (error) { report.error = String(error); }
await browser.close();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
