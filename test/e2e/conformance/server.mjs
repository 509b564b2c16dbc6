// The tools, resources and prompts that the conformance suite asks for, on the official TypeScript SDK v2.
// usage: node server.mjs PORT     http://127.0.0.1:PORT/mcp; revision 2026-07-28, and older clients without sessions
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import {
  McpServer, ResourceTemplate, acceptedContent, completable, createMcpHandler,
  createRequestStateCodec, fromJsonSchema, inputRequired, inputResponse,
} from '@modelcontextprotocol/server';
import { localhostHostValidation, toNodeHandler } from '@modelcontextprotocol/node';
import * as z from 'zod/v4';

// One red pixel, and a WAVE file without samples
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
const WAV = Buffer.from('RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\0\0\0', 'latin1').toString('base64');

const pause = () => new Promise(done => setTimeout(done, 50));
const text = value => ({ type: 'text', text: String(value) });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const resource = (uri, mimeType, content) => ({ type: 'resource', resource: { uri, mimeType, text: content } });
const content = (...blocks) => ({ content: blocks });
const messages = (...blocks) => ({ messages: blocks.map(block => ({ role: 'user', content: block })) });
const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });

const defaults = object({
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
}, []);
const choices = ['First', 'Second', 'Third'];
const titled = word => choices.map((title, i) => ({ const: `value${i + 1}`, title: `${title} ${word}` }));
const options = ['option1', 'option2', 'option3'];
const enums = object({
  untitledSingle: { type: 'string', enum: options },
  titledSingle: { type: 'string', oneOf: titled('Option') },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
  titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
}, []);
// What the suite wants to find unchanged in the list of tools
const vocabulary = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

const state = createRequestStateCodec({ key: randomBytes(32) });
const ask = {
  name: message => inputRequired.elicit({ message, requestedSchema: object({ name: { type: 'string' } }) }),
  sample: (prompt, maxTokens) => inputRequired.createMessage({ messages: [{ role: 'user', content: text(prompt) }], maxTokens }),
};
const answered = (ctx, ...keys) => keys.every(key => inputResponse(ctx.mcpReq.inputResponses, key).kind !== 'missing');

function tools(server) {
  const tool = (name, run, inputSchema = z.object({})) => server.registerTool(name, { description: name, inputSchema }, run);
  const simple = (name, run) => tool(name, (_, ctx) => run(ctx));

  simple('test_simple_text', () => content(text('This is a simple text response for testing.')));
  simple('test_image_content', () => content(image));
  simple('test_audio_content', () => content({ type: 'audio', data: WAV, mimeType: 'audio/wav' }));
  simple('test_embedded_resource', () => content(resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')));
  simple('test_multiple_content_types', () => content(text('Multiple content types test:'), image,
    resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}')));
  simple('test_error_handling', () => { throw new Error('This tool intentionally returns an error for testing'); });
  tool('json_schema_2020_12_tool', args => content(text(JSON.stringify(args))), fromJsonSchema(vocabulary));
  tool('test_mirrored_argument', ({ region }) => content(text(region)),
    fromJsonSchema(object({ region: { type: 'string', 'x-mcp-header': 'Region' } })));
  simple('test_tool_with_logging', async ctx => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await ctx.mcpReq.log('info', line);
      await pause();
    }
    return content(text('logged'));
  });
  simple('test_logging_tool', async ctx => {
    await ctx.mcpReq.log('info', 'a line for whoever asked');
    return content(text('logged'));
  });
  simple('test_tool_with_progress', async ctx => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
      }
      await pause();
    }
    return content(text(progressToken));
  });
  simple('test_trigger_tool_change', async () => { await handler.notify.toolsChanged(); return content(text('changed')); });
  simple('test_trigger_prompt_change', async () => { await handler.notify.promptsChanged(); return content(text('changed')); });

  // As requests to the client, until 2025-11-25. Without sessions their answers never arrive: no long wait for them.
  const patience = { timeout: 500 };
  tool('test_sampling', async ({ prompt }, ctx) => {
    const result = await ctx.mcpReq.requestSampling({ messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 }, patience);
    return content(text(`LLM response: ${result.content.text}`));
  }, z.object({ prompt: z.string() }));
  const elicit = async (ctx, message, requestedSchema) => {
    const { action, content: given } = await ctx.mcpReq.elicitInput({ message, requestedSchema }, patience);
    return content(text(`Elicitation completed: action=${action}, content=${JSON.stringify(given)}`));
  };
  tool('test_elicitation', ({ message }, ctx) => elicit(ctx, message, object({ username: { type: 'string' }, email: { type: 'string' } })),
    z.object({ message: z.string() }));
  simple('test_elicitation_sep1034_defaults', ctx => elicit(ctx, 'Defaults', defaults));
  simple('test_elicitation_sep1330_enums', ctx => elicit(ctx, 'Enums', enums));
}

// As results that ask for more, since 2026-07-28
function rounds(server) {
  const round = (name, run) => server.registerTool(name, { description: name, inputSchema: z.object({}) }, (_, ctx) => run(ctx));
  const Name = z.object({ name: z.string() });

  const hello = ctx => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'user_name', Name);
    return answer ? content(text(`Hello, ${answer.name}!`)) : inputRequired({ inputRequests: { user_name: ask.name('What is your name?') } });
  };
  round('test_input_required_result_elicitation', hello);
  round('test_streaming_elicitation', hello);
  round('test_input_required_result_sampling', ctx => answered(ctx, 'capital_question')
    ? content(text(ctx.mcpReq.inputResponses.capital_question.content.text))
    : inputRequired({ inputRequests: { capital_question: ask.sample('What is the capital of France?', 100) } }));
  round('test_input_required_result_list_roots', ctx => answered(ctx, 'client_roots')
    ? content(text(JSON.stringify(ctx.mcpReq.inputResponses.client_roots.roots)))
    : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } }));

  const confirm = inputRequired.elicit({ message: 'Please confirm', requestedSchema: object({ ok: { type: 'boolean' } }) });
  const confirmed = async ctx => answered(ctx, 'confirm') && ctx.mcpReq.requestState()?.round === 1 ? content(text('state-ok'))
    : inputRequired({ inputRequests: { confirm }, requestState: await state.mint({ round: 1 }) });
  round('test_input_required_result_request_state', confirmed);
  round('test_input_required_result_tampered_state', confirmed);
  round('test_input_required_result_multiple_inputs', async ctx => answered(ctx, 'user_name', 'greeting', 'client_roots')
    ? content(text('all three'))
    : inputRequired({
      inputRequests: { user_name: ask.name('What is your name?'), greeting: ask.sample('Generate a greeting', 50), client_roots: inputRequired.listRoots() },
      requestState: await state.mint({ round: 1 }),
    }));
  round('test_input_required_result_multi_round', async ctx => {
    const done = ctx.mcpReq.requestState()?.round ?? 0;
    if (done === 1 && answered(ctx, 'step1')) {
      const color = inputRequired.elicit({ message: 'Step 2: What is your favorite color?', requestedSchema: object({ color: { type: 'string' } }) });
      return inputRequired({ inputRequests: { step2: color }, requestState: await state.mint({ round: 2 }) });
    }
    if (done === 2 && answered(ctx, 'step2')) return content(text('done'));
    return inputRequired({ inputRequests: { step1: ask.name('Step 1: What is your name?') }, requestState: await state.mint({ round: 1 }) });
  });
  const can = ctx => ctx.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {};
  round('test_input_required_result_capabilities', ctx => {
    if (ctx.mcpReq.inputResponses) return content(text('done'));
    const inputRequests = {};
    if (can(ctx).elicitation) inputRequests.user_name = ask.name('What is your name?');
    if (can(ctx).sampling) inputRequests.greeting = ask.sample('Generate a greeting', 50);
    return Object.keys(inputRequests).length ? inputRequired({ inputRequests }) : content(text('nothing to ask'));
  });
  // Without the capability the SDK refuses to send it.
  round('test_missing_capability', () => inputRequired({ inputRequests: { greeting: ask.sample('Generate a greeting', 50) } }));
  server.registerPrompt('test_input_required_result_prompt', { description: 'asks first' }, ctx => answered(ctx, 'user_context')
    ? messages(text('Here you are.'))
    : inputRequired({ inputRequests: { user_context: inputRequired.elicit({
      message: 'What context should the prompt use?', requestedSchema: object({ context: { type: 'string' } }) }) } }));
}

function resources(server) {
  server.registerResource('static-text', 'test://static-text', { description: 'text', mimeType: 'text/plain' },
    uri => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] }));
  server.registerResource('static-binary', 'test://static-binary', { description: 'binary', mimeType: 'image/png' },
    uri => ({ contents: [{ uri: uri.href, mimeType: 'image/png', blob: PNG }] }));
  server.registerResource('watched', 'test://watched-resource', { description: 'watched', mimeType: 'text/plain' },
    uri => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'watched' }] }));
  server.registerResource('template', new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'template', mimeType: 'application/json' },
    (uri, { id }) => ({ contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }] }));
}

function prompts(server) {
  server.registerPrompt('test_simple_prompt', { description: 'simple' }, () => messages(text('This is a simple prompt for testing.')));
  const word = completable(z.string(), value => ['paris', 'park', 'party'].filter(candidate => candidate.startsWith(value)));
  server.registerPrompt('test_prompt_with_arguments', { description: 'arguments', argsSchema: z.object({ arg1: word, arg2: z.string() }) },
    ({ arg1, arg2 }) => messages(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
  server.registerPrompt('test_prompt_with_embedded_resource', { description: 'resource', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => messages(resource(resourceUri, 'text/plain', 'Embedded resource content for testing.'), text('Please process the embedded resource above.')));
  server.registerPrompt('test_prompt_with_image', { description: 'image' }, () => messages(image, text('Please analyze the image above.')));
}

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'conformance-ts-2', version: '1.0.0' }, {
    capabilities: { tools: { listChanged: true }, prompts: { listChanged: true }, resources: {}, logging: {}, completions: {} },
    requestState: { verify: state.verify },
  });
  for (const part of [tools, rounds, resources, prompts]) part(server);
  return server;
}, { legacy: 'stateless' });

const node = toNodeHandler(handler);
const allowed = localhostHostValidation();
http.createServer((req, res) => {
  if (!allowed(req, res)) return undefined;
  if (req.url.split('?')[0] === '/mcp') return node(req, res);
  res.statusCode = 404;
  return res.end();
}).listen(Number(process.argv[2]), '127.0.0.1');
