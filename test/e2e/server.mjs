// An MCP server on the official TypeScript SDK v2: revision 2026-07-28, and older clients without sessions.
// usage: node server.mjs PORT     http://127.0.0.1:PORT/mcp; the tools are those of server.py
import http from 'node:http';
import { McpServer, createMcpHandler, inputRequired, acceptedContent } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import * as z from 'zod/v4';

const text = value => ({ content: [{ type: 'text', text: String(value) }] });
const pair = z.object({ a: z.number(), b: z.number() });
const Name = z.object({ name: z.string() });
const nothing = z.object({});

const handler = createMcpHandler(({ requestInfo }) => {
  const server = new McpServer({ name: 'e2e-ts-2', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
  const tool = (name, inputSchema, run) => server.registerTool(name, { description: name, inputSchema }, run);
  tool('add', pair, ({ a, b }) => text(a + b));
  tool('divide', pair, ({ a, b }) => text(a / b));
  tool('slow', z.object({ seconds: z.number().default(1.5), steps: z.number().default(3) }), async ({ seconds, steps }, ctx) => {
    const progressToken = ctx.mcpReq?._meta?.progressToken;
    for (let i = 1; i <= steps; i++) {
      if (progressToken !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: i, total: steps } });
      }
      await new Promise(done => setTimeout(done, seconds * 1000 / steps));
    }
    return text(`slept ${seconds}`);
  });
  tool('announce', nothing, async () => { await handler.notify.toolsChanged(); return text('announced'); });
  tool('headers', nothing, () => text(JSON.stringify(Object.fromEntries(requestInfo?.headers ?? []))));
  tool('ask', nothing, (_, ctx) => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'who', Name);
    return answer ? text(`hello ${answer.name}`)
      : inputRequired({ inputRequests: { who: inputRequired.elicit({ message: 'Who are you?', requestedSchema: Name }) } });
  });
  return server;
}, { legacy: 'stateless' });

const node = toNodeHandler(handler);
http.createServer((req, res) => {
  if (req.url.split('?')[0] === '/mcp') return node(req, res);
  res.statusCode = 404;
  return res.end();
}).listen(Number(process.argv[2]), '127.0.0.1');
