// Runs the conformance suite against each server, directly and through the gateway, and compares the results check by check.
// usage: node conformance.mjs --out DIR --gateway ORIGIN --token FILE --docs FILE --logs DIR [--only TEXT] [--write] NAME=TITLE=URL...
// conformance.sh starts the servers and the gateway for it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

const here = import.meta.dirname;
const versionOf = name => JSON.parse(fs.readFileSync(path.join(here, 'node_modules', name, 'package.json'))).version;
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' }, gateway: { type: 'string' }, token: { type: 'string' }, docs: { type: 'string' },
    logs: { type: 'string' }, only: { type: 'string', default: '' }, write: { type: 'boolean', default: false },
  },
});
const token = fs.readFileSync(options.token, 'utf8').trim();
const servers = positionals.map(argument => {
  const [name, title, url] = argument.split('=');
  return { name, title, url };
});

// floor: a run with fewer checks was not the suite.
const suites = [
  { name: '0.1', title: `${versionOf('suite-0.1')}, all scenarios`, program: 'suite-0.1', args: ['--suite', 'all'], floor: 40 },
  { name: '2025-11-25', title: `${versionOf('suite-0.2')}, 2025-11-25`, program: 'suite-0.2', args: ['--requirements', '2025-11-25'], floor: 75 },
  { name: '2026-07-28', title: `${versionOf('suite-0.2')}, 2026-07-28`, program: 'suite-0.2', args: ['--requirements', '2026-07-28'], floor: 160 },
];

// Where gateway and server may differ, one by one. A line that no run needs any more is a failure too: it would hide something.
const NO_HOST_CHECK = 'The server accepts any `Host` and `Origin`; the module refuses an origin that is not allowed.';
const OLD_SERVER = 'The server does not know revision 2026-07-28. The module does, and refuses such a request itself, as the revision asks.';
const explained = [
  { servers: ['everything'], suites: ['0.1', '2025-11-25'], why: NO_HOST_CHECK,
    check: 'dns-rebinding-protection / localhost-host-rebinding-rejected', from: 'FAILURE', to: 'SUCCESS' },
  ...[
    ['server-stateless / sep-2575-request-meta-invalid-missing-meta', 'SUCCESS'],
    ['server-stateless / sep-2575-request-meta-invalid-missing-protocol-version', 'SUCCESS'],
    ['server-stateless / sep-2575-request-meta-invalid-missing-client-capabilities', 'SUCCESS'],
    ['server-stateless / sep-2575-http-server-header-mismatch-400', 'SUCCESS'],
    // The suite reports this one only when it fails: an answer without the id of its request.
    ['server-stateless / sep-2575-http-server-error-jsonrpc-id (request 101)', 'absent'],
    ['server-stateless / sep-2575-http-server-error-jsonrpc-id (request 102)', 'absent'],
    ['server-stateless / sep-2575-http-server-error-jsonrpc-id (request 104)', 'absent'],
    ['tasks-request-headers / tasks-headers-reject-mismatched-method', 'SUCCESS'],
  ].map(([check, to]) => ({ servers: ['python1', 'everything'], suites: ['2026-07-28'], why: OLD_SERVER, check, from: 'FAILURE', to })),
  // The reason lists each answer without an id; the one the module gives in place of the server has its id.
  { servers: ['everything'], suites: ['2026-07-28'], why: OLD_SERVER,
    check: 'tasks-request-headers / wire-schema-valid', from: 'FAILURE', to: 'FAILURE' },
];

let passed = 0, failed = 0;
function verdict(good, text) {
  if (good) passed += 1;
  else failed += 1;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${text}`);
}

// --- running ------------------------------------------------------------------------------------------------

// Resolves to the results of one run of the suite. Scenarios go one after the other, so the order of checks is fixed.
function run(suite, url, out, { shim }) {
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(out, { recursive: true });
  const log = fs.openSync(path.join(out, 'log'), 'w');
  const program = path.join(here, 'node_modules', suite.program, 'dist/index.js');
  const preload = shim ? ['--import', path.join(here, 'with-token.mjs')] : [];
  const child = spawn(process.execPath, [...preload, program, 'server', '--url', url, ...suite.args, '-o', out], {
    stdio: ['ignore', log, log],
    env: { ...process.env, NO_COLOR: '1', ...shim && { MCP_TOKEN: token, MCP_ORIGIN: new URL(url).origin } },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 240_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      fs.closeSync(log);
      resolve(results(out, url));
    });
  });
}

// A Map from "scenario / check id" to { status, reason }, empty when the suite did not finish. Checks that share an id are told
// apart by the request they are about, where they say it, else by their place: "scenario / check id (2)".
function results(out, url) {
  const checks = new Map();
  const summary = fs.readFileSync(path.join(out, 'log'), 'utf8').split('=== SUMMARY ===')[1];
  if (summary === undefined) return checks;
  const folders = fs.readdirSync(out);
  for (const [, mark, scenario, text] of summary.matchAll(/^([✓✗]) (\S+): (.*)$/gmu)) {
    const folder = folders.find(name => name.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '') === `server-${scenario}`);
    const file = folder && path.join(out, folder, 'checks.json');
    const list = file && fs.existsSync(file) ? JSON.parse(fs.readFileSync(file))
      : [{ id: 'ran-to-its-end', status: mark === '✓' ? 'SUCCESS' : 'FAILURE', errorMessage: text }];
    const seen = {};
    for (const { id, status, errorMessage } of list) {
      const request = /response id (\d+)/.exec(errorMessage)?.[1];
      const called = request ? `${id} (request ${request})` : id;
      seen[called] = (seen[called] ?? 0) + 1;
      const reason = status === 'SUCCESS' ? '' : timeless(errorMessage ?? '', url);
      checks.set(`${scenario} / ${called}${seen[called] > 1 ? ` (${seen[called]})` : ''}`, { status, reason });
    }
  }
  return checks;
}

// Why a check failed, without what differs between any two runs.
function timeless(text, url) {
  return text.replaceAll(url, 'URL').replaceAll(new URL(url).host, 'HOST')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b/g, 'ID')
    .replace(/\b\d+(\.\d+)? ?ms\b/g, 'N ms');
}

// --- comparing ----------------------------------------------------------------------------------------------

// What is not alike: a status, or the reason of a failure on both sides.
function compare(alone, through) {
  const different = [];
  for (const check of new Set([...alone.keys(), ...through.keys()])) {
    const nothing = { status: 'absent', reason: '' };
    const a = alone.get(check) ?? nothing, b = through.get(check) ?? nothing;
    if (a.status !== b.status || a.reason !== b.reason) {
      different.push({ check, from: a.status, to: b.status, reasons: [a.reason, b.reason] });
    }
  }
  return different;
}

const text = ({ check, from, to, reasons }) =>
  `${check}: ${from} alone, ${to} through the gateway${reasons.some(Boolean) ? `: ${reasons.map(r => JSON.stringify(r.slice(0, 300))).join(' / ')}` : ''}`;

function count(checks) {
  const number = { passed: 0, failed: 0, other: 0 };
  for (const { status } of checks.values()) number[status === 'SUCCESS' ? 'passed' : status === 'FAILURE' ? 'failed' : 'other'] += 1;
  return number;
}

const rows = [], unexplained = [], used = new Set();

function explanation(server, suite, { check, from, to }) {
  return explained.find(line => line.check === check && line.from === from && line.to === to
    && line.servers.includes(server.name) && line.suites.includes(suite.name));
}

async function pair(server, suite) {
  const name = `${server.name} ${suite.name}`;
  const both = async take => {
    const out = side => path.join(options.out, server.name, `${suite.name}-${side}-${take}`);
    const alone = await run(suite, server.url, out('alone'), { shim: false });
    const through = await run(suite, `${options.gateway}/${server.name}/mcp`, out('gateway'), { shim: true });
    return { alone, through, different: compare(alone, through) };
  };
  const strange = result => result.different.filter(entry => !explanation(server, suite, entry));

  let result = await both(1), bad = strange(result);
  if (bad.length) {
    // Some servers are not alike even to themselves: only what differs twice counts.
    const again = await both(2);
    console.log(`     ${name}: ${bad.length} checks differed, so it ran twice`);
    bad = strange(again).filter(entry => bad.some(({ check }) => check === entry.check));
    result = again;
  }
  const { alone, through, different } = result;
  const fine = different.map(entry => explanation(server, suite, entry)).filter(Boolean);
  for (const line of fine) used.add(`${server.name} ${suite.name} ${line.check}`);
  for (const entry of bad) verdict(false, `${name}: ${text(entry)}`);
  unexplained.push(...bad.map(entry => ({ server, suite, ...entry })));
  rows.push({ server, suite, alone: count(alone), through: count(through), fine: fine.length, bad: bad.length });

  verdict(alone.size >= suite.floor && through.size >= suite.floor - 10 && count(alone).passed > 0,
    `${name}: ${alone.size} checks alone, ${through.size} through the gateway, where at least ${suite.floor} are expected`);
  if (!bad.length) {
    const n = count(through);
    verdict(true, `${name}: alike check by check, ${n.passed} passed, ${n.failed} failed, ${fine.length} explained differences`);
  }
}

// --- controls -----------------------------------------------------------------------------------------------

// A comparison that cannot fail proves nothing.
async function controls() {
  const suite = suites.find(({ name }) => name === '2025-11-25');
  const against = (url, name) => run(suite, url, path.join(options.out, 'control', name), { shim: false });
  const [stateful, strict] = ['python2', 'ts2'].map(name => servers.find(server => server.name === name));

  const wall = await against(`${options.gateway}/${stateful.name}/mcp`, 'wall');
  const differs = compare(await against(stateful.url, 'stateful'), wall).length;
  verdict(wall.size > 0 && differs >= 40,
    `control, no token: ${differs} checks differ, although ${count(wall).passed} "pass" against nothing but 401`);

  // This server looks at Host alone, which mod_proxy rewrites.
  const plain = compare(await against(strict.url, 'strict'), await against(`${options.gateway}/plain/${strict.name}/mcp`, 'plain'));
  const [only] = plain;
  verdict(plain.length === 1 && only.check === 'dns-rebinding-protection / localhost-host-rebinding-rejected'
    && only.from === 'SUCCESS' && only.to === 'FAILURE',
  `control, mod_proxy without the module: dns-rebinding-protection breaks and nothing else${plain.length === 1 ? '' : `: ${plain.map(text).join('; ')}`}`);
}

// --- the document -------------------------------------------------------------------------------------------

const table = (head, lines) => [`| ${head.join(' | ')} |`, `|${head.map(() => ' --- |').join('')}`, ...lines.map(line => `| ${line.join(' | ')} |`)];

function document() {
  const counts = ({ passed, failed, other }) => `${passed} / ${failed} / ${other}`;
  const found = ({ fine, bad }) => [fine && `${fine} explained`, bad && `**${bad} unexplained**`].filter(Boolean).join(', ') || 'none';
  const reasons = [...new Set(explained.map(({ why }) => why))];
  return [
    '# Conformance',
    '',
    'Written by `test/e2e/conformance.sh --module FILE --write`; the same script, run as a test, fails when it finds anything else.',
    '',
    'The official conformance suite (npm `@modelcontextprotocol/conformance`) runs against real MCP servers twice: directly, and through httpd',
    'with the module, where every request carries a valid token, one rule allows everything (`McpOAuthAllow "*" *`), and `McpOAuthBatch`,',
    '`McpOAuthFilterLists`, `McpOAuthStreamExpiry` and `McpOAuthSessionBinding` are `On`. Each check must end alike on both sides: the same',
    'status, and where it fails, for the same reason. What fails alike is the matter of the server, most of it features that it does not have.',
    '',
    'Two controls show that the comparison can fail. Without a token a third of the checks still "passes" against nothing but 401; the',
    'comparison reports the others. Through mod_proxy without the module exactly one check of the TypeScript server breaks, that of',
    '`dns-rebinding-protection`: mod_proxy rewrites `Host`, the only header this server looks at. The Origin check of the module',
    '(`McpOAuthOrigin`) repairs it.',
    '',
    '## Results',
    '',
    'Checks are counted as passed / failed / other (warnings, information, skipped).',
    '',
    ...table(['server', 'suite', 'server alone', 'through the gateway', 'differences'],
      rows.map(row => [row.server.title, row.suite.title, counts(row.alone), counts(row.through), found(row)])),
    '',
    '## Explained differences',
    '',
    'The test allows these, one by one, and no others.',
    '',
    ...reasons.flatMap(why => [
      why,
      '',
      ...table(['check', 'servers', 'server alone', 'through the gateway'], explained.filter(line => line.why === why).map(line =>
        [`\`${line.check}\``, line.servers.map(name => servers.find(server => server.name === name).title).join(', '), line.from, line.to])),
      '',
    ]),
    '## Unexplained differences',
    '',
    ...unexplained.length ? table(['server', 'suite', 'check', 'server alone', 'through the gateway'],
      unexplained.map(({ server, suite, check, from, to }) => [server.title, suite.title, `\`${check}\``, from, to])) : ['None.'],
    '',
  ].join('\n');
}

for (const server of servers) {
  for (const suite of suites) {
    if (`${server.name} ${suite.name}`.includes(options.only)) await pair(server, suite);
  }
}
if (!options.only) {
  await controls();
  const stale = explained.flatMap(line => line.servers.flatMap(server => line.suites.map(suite => `${server} ${suite} ${line.check}`)))
    .filter(key => !used.has(key));
  verdict(!stale.length, `every explained difference was met${stale.length ? `, but not: ${stale.join('; ')}` : ''}`);
  if (options.write) fs.writeFileSync(options.docs, document());
  const written = fs.existsSync(options.docs) ? fs.readFileSync(options.docs, 'utf8') : '';
  verdict(written === document(), 'docs/conformance.md says what was found (conformance.sh --write writes it anew)');
  if (written !== document()) fs.writeFileSync(path.join(options.out, 'conformance.md'), document());
}
const log = name => fs.readFileSync(path.join(options.logs, name), 'utf8');
const good = log('access.log').match(/^\/[a-z0-9]+\/mcp 2.*$/gm) ?? [];
const unjudged = good.filter(line => !/^\S+ \d+ allow /.test(line));
verdict(good.length > 0 && !unjudged.length,
  unjudged.length ? `access log: ${unjudged.length} good answers without a decision of the module: ${unjudged[0]}`
    : `access log: each of ${good.length} good answers was allowed by the module`);
verdict(!/exit signal|AH00052|Sanitizer|stack smashing/.test(log('error.log') + log('httpd.out')), 'error log: no child of httpd crashed');
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
