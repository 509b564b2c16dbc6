// Logs in at Keycloak's own pages in the place of a user: the forms are posted, or filled in by a headless Chromium.
// usage: node login.mjs forms|chromium CALLBACK USER PASSWORD ADDRESS
// Prints {"callback": the URL that Keycloak ends at, "pages": what was shown on the way}. A page is {"kind": "login"} or
// {"kind": "consent", "asks": what is to be granted}. CHROMIUM names the browser, SCREENSHOTS a directory for pictures of what it
// shows.
import { pathToFileURL } from 'node:url';

const STEPS = 30, DEADLINE = 30000;

// --- forms ----------------------------------------------------------------------------------------------------------

const entities = { '&quot;': '"', '&#39;': "'", '&#x3D;': '=', '&lt;': '<', '&gt;': '>', '&nbsp;': ' ', '&amp;': '&' };
const plain = text => text.replace(/&#?\w+;/g, entity => entities[entity] ?? entity);
const words = html => plain(html.replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
function attribute(tag, name) {
  const found = tag.match(new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i'));
  return found && plain(found[1] ?? found[2]);
}

// A browser of the poorest kind: cookies, redirects and forms. It keeps its cookies from one login to the next.
export class Forms {
  jar = new Map();

  async fetch(url, options) {
    const { hostname, pathname } = new URL(url);
    const cookies = [...this.jar.values()].filter(c => c.hostname === hostname && pathname.startsWith(c.path)).map(c => c.pair);
    const answer = await fetch(url, { ...options, redirect: 'manual', signal: AbortSignal.timeout(DEADLINE),
      headers: { accept: 'text/html', ...options.headers, cookie: cookies.join('; ') } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...more] = line.split(';').map(s => s.trim()), path = more.find(a => /^path=/i.test(a))?.slice(5) ?? '/';
      this.jar.set(`${hostname} ${path} ${pair.split('=')[0]}`, { hostname, path, pair });
    }
    return answer;
  }

  async login(address, callback, user, password) {
    let url = String(address), options = {};
    const pages = [];
    for (let step = 0; step < STEPS; step++) {
      const answer = await this.fetch(url, options), next = answer.headers.get('location'), html = await answer.text();
      if (next) {
        url = new URL(next, url).href;
        if (url.startsWith(callback)) return { callback: url, pages };
        options = {};
        continue;
      }
      const [, tag, inside] = html.match(/<form\b([^>]*)>([^]*?)<\/form>/i) ?? [];
      if (!tag) throw new Error(`no form at ${url.split('?')[0]} (${answer.status}): ${words(html).slice(0, 300)}`);
      const form = new URLSearchParams();
      for (const [field] of inside.matchAll(/<input\b[^>]*>/gi)) {
        const name = attribute(field, 'name'), type = attribute(field, 'type');
        if (!name || name === 'cancel' || type === 'checkbox' || (type === 'submit' && name !== 'accept')) continue;
        form.set(name, type === 'password' ? password : name === 'username' ? user : attribute(field, 'value') ?? '');
      }
      const asks = [...html.matchAll(/<li\b[^>]*>([^]*?)<\/li>/gi)].map(([, item]) => words(item));
      pages.push(form.has('password') ? { kind: 'login' } : { kind: 'consent', asks });
      if (pages.filter(p => p.kind === 'login').length > 1) throw new Error(`Keycloak does not let ${user} in`);
      url = new URL(attribute(tag, 'action') ?? '', url).href;
      options = { method: 'POST', body: form };
    }
    throw new Error('the login does not end');
  }

  async close() {}
}

export async function visitor(how) {
  if (how !== 'chromium') return new Forms();
  const { Chromium } = await import('./chromium.mjs');
  return new Chromium(process.env.CHROMIUM || 'chromium', process.env.SCREENSHOTS);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [how, callback, user, password, address] = process.argv.slice(2), browser = await visitor(how);
  try { console.log(JSON.stringify(await browser.login(address, callback, user, password))); } finally { await browser.close(); }
}
