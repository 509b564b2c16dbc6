// A headless Chromium that logs in at Keycloak: types into the form, reads what the page of consent asks, clicks. It is told what
// to do over a pipe (DevTools protocol), so nothing but Chromium and Node is needed.
import http from 'node:http';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEADLINE = 30000, PAUSE = 100;
const sleep = ms => new Promise(done => setTimeout(done, ms));

// As in any container: no sandbox is to be had there as root, and no shared memory. Nothing but this machine is resolved.
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--no-default-browser-check',
  '--disable-extensions', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps',
  '--no-proxy-server', '--mute-audio', '--window-size=900,900', '--remote-debugging-pipe',
  '--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];

// What the page is, as far as a user sees it.
const LOOK = `(() => {
  const text = e => e.innerText.replace(/\\s+/g, ' ').trim();
  const kind = document.readyState !== 'complete' ? 'loading' : document.querySelector('input[type=password]') ? 'login'
    : document.querySelector('[name=accept]') ? 'consent' : 'other';
  return { kind, made: performance.timeOrigin, url: location.href, asks: [...document.querySelectorAll('li')].map(text),
    text: text(document.body ?? document.documentElement) };
})()`;
const type = (user, password) => `(() => {
  const field = name => document.querySelector('[name=' + name + ']');
  field('username').value = ${JSON.stringify(user)};
  field('password').value = ${JSON.stringify(password)};
  document.querySelector('#kc-login').click();
})()`;
const ACCEPT = `document.querySelector('[name=accept]').click()`;

export class Chromium {
  calls = new Map();
  number = 0;
  text = '';
  errors = '';
  pictures = 0;

  constructor(program, folder) {
    this.folder = folder;
    this.profile = mkdtempSync(join(tmpdir(), 'mcp-chromium-'));
    const env = { ...process.env, DBUS_SESSION_BUS_ADDRESS: 'disabled:' };
    for (const name of ['HOME', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME']) env[name] = this.profile;
    this.child = spawn(program, [...flags, `--user-data-dir=${this.profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'], env });
    this.child.on('error', error => this.fail(error.message));
    this.child.on('exit', code => this.fail(`Chromium ended with ${code}: ${this.errors.slice(-300)}`));
    this.child.stderr.on('data', data => { this.errors += data; });
    this.child.stdio[3].on('error', () => {});
    this.child.stdio[4].on('data', data => this.hear(String(data)));
  }

  fail(why) {
    this.ended = why;
    for (const { reject } of this.calls.values()) reject(new Error(why));
    this.calls.clear();
  }

  hear(data) {
    const messages = (this.text + data).split('\0');
    this.text = messages.pop();
    for (const { id, result, error } of messages.map(JSON.parse)) {
      const call = this.calls.get(id);
      this.calls.delete(id);
      if (error) call?.reject(new Error(error.message));
      else call?.resolve(result);
    }
  }

  send(method, params = {}) {
    if (this.ended) return Promise.reject(new Error(this.ended));
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.child.stdio[3].write(`${JSON.stringify({ id, method, params, ...(this.session && { sessionId: this.session }) })}\0`);
    });
  }

  // A page that is just being left answers with an error.
  async evaluate(expression) {
    return (await this.send('Runtime.evaluate', { expression, returnByValue: true }).catch(error => {
      if (this.ended) throw error;
    }))?.result?.value;
  }

  async picture(kind) {
    if (!this.folder) return;
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, `${++this.pictures}-${kind}.png`), Buffer.from(data, 'base64'));
  }

  async login(address, callback, user, password) {
    const listener = http.createServer((request, answer) => {
      const url = new URL(request.url, callback).href;
      if (url.startsWith(callback)) this.arrived ??= url;
      answer.end('You can close this page.');
    }).listen(Number(new URL(callback).port), '127.0.0.1');
    await once(listener, 'listening');
    try { return await this.walk(String(address), user, password); } finally { listener.closeAllConnections(); listener.close(); }
  }

  async walk(address, user, password) {
    const end = Date.now() + DEADLINE, pages = [];
    let page, done;
    this.arrived = undefined;
    if (!this.session) {
      const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
      this.session = (await this.send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    }
    await this.send('Page.navigate', { url: address });
    while (!this.arrived) {
      if (Date.now() > end) throw new Error(`Chromium is stuck at ${page?.url?.split('?')[0]}: ${page?.text?.slice(0, 300)}`);
      await sleep(PAUSE);
      page = await this.evaluate(LOOK);
      // Each page is answered once.
      if (!['login', 'consent'].includes(page?.kind) || page.made === done) continue;
      if (page.kind === 'login' && pages.length) throw new Error(`Keycloak does not let ${user} in: ${page.text}`);
      done = page.made;
      pages.push(page.kind === 'login' ? { kind: 'login' } : { kind: 'consent', asks: page.asks });
      await this.picture(page.kind);
      await this.evaluate(page.kind === 'login' ? type(user, password) : ACCEPT);
    }
    return { callback: this.arrived, pages };
  }

  async close() {
    const gone = this.ended ? Promise.resolve() : once(this.child, 'exit');
    this.session = undefined;
    this.send('Browser.close').catch(() => {});
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
