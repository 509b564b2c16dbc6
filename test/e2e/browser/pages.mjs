// Serves the page under test on several ports, to every host name, and writes down what the pages report.
// usage: node pages.mjs DIR PORT...    DIR/config.json is what the pages are told; reports go to DIR/page-NAME.out
import http from 'node:http';
import { appendFileSync, readFileSync } from 'node:fs';

const [dir, ...ports] = process.argv.slice(2), here = new URL('.', import.meta.url);
const files = { '/page.html': 'text/html; charset=utf-8', '/page.js': 'text/javascript; charset=utf-8' };

function answer(req, res) {
  const { pathname } = new URL(req.url, 'http://pages');
  const name = /^\/report\/([a-z]+)$/.exec(pathname)?.[1];
  let body = '';
  res.setHeader('Access-Control-Allow-Origin', '*');
  res.setHeader('Cache-Control', 'no-store');
  if (files[pathname]) return res.writeHead(200, { 'Content-Type': files[pathname] }).end(readFileSync(new URL(`.${pathname}`, here)));
  if (pathname === '/config') return res.writeHead(200, { 'Content-Type': 'application/json' }).end(readFileSync(`${dir}/config.json`));
  if (!name || req.method !== 'POST') return res.writeHead(404).end();
  return req.setEncoding('utf8').on('data', chunk => { body += chunk; }).on('end', () => {
    appendFileSync(`${dir}/page-${name}.out`, `${body.replace(/\s+/g, ' ').trimEnd()}\n`);
    res.writeHead(204).end();
  });
}

for (const port of ports) http.createServer(answer).listen(Number(port), '127.0.0.1');
