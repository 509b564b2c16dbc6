// Preloaded into a backend (node --import): writes each request that reaches it into the file WITNESS, a line of JSON each.
import diagnostics from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';

diagnostics.subscribe('http.server.request.start', ({ request: { method, url, headers } }) => {
  appendFileSync(process.env.WITNESS, `${JSON.stringify({ method, url, origin: headers.origin ?? null, referer: headers.referer ?? null })}\n`);
});
