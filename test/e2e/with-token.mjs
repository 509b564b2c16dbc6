// Adds "Authorization: Bearer $MCP_TOKEN" to every HTTP request to $MCP_ORIGIN that carries none, for programs that cannot be
// given a token: fetch and undici announce their requests on a diagnostics channel, node:http is wrapped.
// usage: MCP_TOKEN=... MCP_ORIGIN=http://localhost:8000 node --import ./with-token.mjs PROGRAM...
import diagnostics from 'node:diagnostics_channel';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';

const { MCP_TOKEN: token, MCP_ORIGIN: origin } = process.env;
if (!token || !origin) throw new Error('with-token.mjs: MCP_TOKEN and MCP_ORIGIN are needed');

// The address a request goes to decides, never its Host header, which a program may forge on purpose.
diagnostics.channel('undici:request:create').subscribe(({ request }) => {
  const headers = request.headers;
  const has = Array.isArray(headers) ? headers.some((name, i) => i % 2 === 0 && String(name).toLowerCase() === 'authorization')
    : /^authorization:/im.test(String(headers));
  if (String(request.origin) === origin && !has) request.addHeader('authorization', `Bearer ${token}`);
});

const { hostname, port } = new URL(origin);
const { request: real } = http;
http.request = (...args) => {
  const request = real(...args);
  const options = args.find(arg => arg && typeof arg === 'object' && !(arg instanceof URL)) ?? {};
  const url = typeof args[0] === 'string' || args[0] instanceof URL ? new URL(args[0]) : {};
  const there = (options.hostname ?? options.host?.replace(/:\d+$/, '') ?? url.hostname) === hostname
    && String(options.port ?? url.port) === port;
  if (there && !request.headersSent && !request.hasHeader('authorization')) request.setHeader('authorization', `Bearer ${token}`);
  return request;
};
http.get = (...args) => {
  const request = http.request(...args);
  request.end();
  return request;
};
syncBuiltinESMExports();
