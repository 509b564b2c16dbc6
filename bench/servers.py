"""The servers under measurement: one httpd for each variant, nginx behind them; their configuration and what they use up."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import time
import urllib.request

import tokens

LIST_TOOLS = 20  # of the tools/list answer; every second one is allowed


class Trouble(Exception):
    """Something that makes the measurements worthless."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for_port(port, process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    with open(log, encoding="utf-8", errors="replace") as f:
        raise Trouble(f"no server on port {port}; {log} ends with:\n{f.read()[-2000:]}")


def children(pid):
    """The processes that pid has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


def kilobytes(pid, file, field):
    with open(f"/proc/{pid}/{file}", encoding="ascii") as f:
        return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M).group(1))


def cpu_seconds(pid):
    """utime and stime of a process with all its threads: its CPU clock, which is finer than ticks (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def stop(processes):
    for p in processes:
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
    for p in processes:
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()


# --- configuration ------------------------------------------------------------------------------------------------------------

# All children are there from the start and stay. A child without an idle thread closes connections that are kept alive, so
# there are always more threads than connections.
HTTPD = """\
ServerRoot "{dir}"
DefaultRuntimeDir "{dir}"
PidFile "{dir}/httpd.pid"
ErrorLog "{dir}/error.log"
LogLevel warn
ServerName http://localhost:{port}
Listen 127.0.0.1:{port}
{user}
{modules}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
Timeout 600
ServerLimit {children}
StartServers {children}
ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {workers}
MinSpareThreads 1
MaxSpareThreads {workers}
{server}
<Location "/mcp">
{location}
ProxyPass http://127.0.0.1:{backend}/{answer} flushpackets=on
</Location>
"""

OURS_SERVER = """\
McpOAuthTokenCacheSize {cache}
McpOAuthTokenCacheTTL 1h
<McpOAuthIssuer "{issuer}">
McpOAuthJwks "file:{jwks}"
</McpOAuthIssuer>
<Location "/status">
SetHandler mcp-oauth-status
</Location>"""

OURS_LOCATION = """\
McpOAuth On
McpOAuthResource {audience}
McpOAuthIssuer {issuer}
McpOAuthMaxBody 2M"""

# With a local key, these versions of both modules can require issuer and audience by Require lines only.
OPENIDC_LOCATION = """\
AuthType oauth20
<RequireAll>
Require claim "iss:{issuer}"
Require claim "aud:{audience}"
</RequireAll>"""

OAUTH2_LOCATION = """\
AuthType oauth2
<RequireAll>
Require oauth2_claim "iss:{issuer}"
Require oauth2_claim "aud:{audience}"
</RequireAll>"""


def rules(count, granted=tokens.SCOPE):
    """count rules, of which the last allows the call. The others are for other things, each third of them of one kind: another
    tool for the token's scope, another tool for another scope, and a pattern for the token's scope."""
    kinds = [
        f"McpOAuthAllow {tokens.SCOPE} tools/call:add-%d",
        "McpOAuthAllow scope-%d tools/call:sum-%d",
        f"McpOAuthAllow {tokens.SCOPE} tools/call:team-%d-*",
    ]
    return "\n".join([kinds[n % 3].replace("%d", str(n)) for n in range(count - 1)] + [allowing(granted)])


def rules_alike(count):
    """count rules for the very same tool, each for another scope; the last is for the token's."""
    return "\n".join([f"McpOAuthAllow scope-{n} tools/call:add" for n in range(count - 1)] + [allowing(tokens.SCOPE)])


def allowing(scope):
    return f"McpOAuthAllow {scope} @session @list tools/call:add"


def list_rules():
    names = " ".join(f"tools/call:tool-{n}" for n in range(0, LIST_TOOLS, 2))
    return f"McpOAuthAllow {tokens.SCOPE} @session @list {names}\n" + rules(9)


class Plan:
    """What differs between the variants: kind is the module that guards, or bare; answer is what the backend says."""

    def __init__(self, kind, acl="", answer="call", cache=10000, jwks=None, processes=1, threads=16):
        self.kind, self.acl, self.answer, self.cache, self.jwks = kind, acl, answer, cache, jwks
        self.processes, self.threads = processes, threads

    def wider(self, threads, processes=1):
        return Plan(self.kind, self.acl, self.answer, self.cache, self.jwks, processes, threads)

    def modules(self):
        return {
            "bare": [],
            "ours": ["watchdog"],
            "openidc": ["authn_core", "auth_openidc"],
            "oauth2": ["authn_core", "oauth2"],
        }[self.kind]

    def server(self, authority):
        if self.kind == "ours":
            return OURS_SERVER.format(cache=self.cache, issuer=tokens.ISSUER, jwks=self.jwks or authority.jwks)
        if self.kind == "openidc":
            return f"OIDCCryptoPassphrase bench\nOIDCOAuthVerifyCertFiles RS256#{authority.certificate}"
        if self.kind == "oauth2":
            key = authority.jwk.replace('"', '\\"')
            return f'OAuth2TokenVerify jwk "{key}" verify.exp=required'
        return ""

    def location(self):
        if self.kind == "bare":
            return ""
        text = {"ours": OURS_LOCATION, "openidc": OPENIDC_LOCATION, "oauth2": OAUTH2_LOCATION}[self.kind]
        return text.format(issuer=tokens.ISSUER, audience=tokens.AUDIENCE) + ("\n" + self.acl if self.acl else "")


# --- processes ----------------------------------------------------------------------------------------------------------------


class Machine:
    """What all servers share: where files are, which programs there are, and the processes to end at the end."""

    def __init__(self, folder, httpd, modules_dir, module):
        self.folder, self.httpd, self.modules_dir, self.module = folder, httpd, modules_dir, module
        self.static = subprocess.run([httpd, "-l"], check=True, capture_output=True, text=True).stdout
        self.user = "www-data" if os.getuid() == 0 else None
        self.processes, self.closed = [], False

    def own(self, path):
        """httpd's children, when they are not root, write below path."""
        if self.user:
            who = pwd.getpwnam(self.user)
            os.chown(path, who.pw_uid, who.pw_gid)

    def load_line(self, name):
        if f"mod_{name}.c" in self.static:
            return ""
        if name == "mcp_oauth":
            return f'LoadModule mcp_oauth_module "{self.module}"\n'
        return f'LoadModule {name}_module "{self.modules_dir}/mod_{name}.so"\n'

    def start(self, command, log, settings=None):
        if self.closed:
            raise Trouble("the measurement ends")
        with open(log, "w", encoding="utf-8") as out:
            p = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **(settings or {})},
            )
        self.processes.append(p)
        return p

    def close(self):
        """Nothing starts any more, and what runs is told to end; stop() waits for it."""
        self.closed = True
        for p in self.processes:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)

    def stop(self, processes=None):
        stop(self.processes if processes is None else processes)
        self.processes = [p for p in self.processes if p.poll() is None]


class Httpd:
    """One instance, with all its children there and warm enough to answer."""

    def __init__(self, machine, authority, name, plan, backend, single=(), settings=None):
        """single: the program that runs httpd in one process, e.g. valgrind with its options; settings: environment."""
        self.machine, self.name, self.plan, self.port = machine, name, plan, free_port()
        self.dir = os.path.join(machine.folder, "httpd", name)
        os.makedirs(self.dir)
        machine.own(self.dir)
        conf = os.path.join(self.dir, "httpd.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(self.configuration(authority, backend, bool(single)))
        log = os.path.join(self.dir, "out.log")
        command = [*single, machine.httpd, "-f", conf, "-X" if single else "-DFOREGROUND"]
        if single and machine.user:
            command = ["runuser", "-u", machine.user, "--", *command]
        self.process = machine.start(command, log, settings)
        wait_for_port(self.port, self.process, log)
        if not single:
            self.pids = self.settled_children()

    def configuration(self, authority, backend, single):
        plan, machine = self.plan, self.machine
        names = ["mpm_event", "unixd", "authz_core", "proxy", "proxy_http", *plan.modules()]
        names += ["mcp_oauth"] if plan.kind == "ours" else []
        user = f"User {machine.user}\nGroup {machine.user}" if machine.user and not single else ""
        return HTTPD.format(
            dir=self.dir,
            port=self.port,
            user=user,
            modules="".join(map(machine.load_line, names)),
            children=plan.processes,
            threads=plan.threads,
            workers=plan.processes * plan.threads,
            server=plan.server(authority),
            location=plan.location(),
            backend=backend,
            answer=plan.answer,
        )

    def settled_children(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = children(self.process.pid)
            if len(found) == self.plan.processes:
                return found
            time.sleep(0.05)
        raise Trouble(f"{self.name} has {len(found)} children, not {self.plan.processes}")

    def cpu(self):
        """CPU seconds of all children. They must be those of the start: one that ended took its account with it."""
        if children(self.process.pid) != self.pids:
            raise Trouble(f"{self.name}: a child of httpd ended; see {self.dir}/error.log")
        return sum(map(cpu_seconds, self.pids))

    def anonymous(self):
        """Bytes of memory of its own that the only child has resident: no program text, no shared memory."""
        (pid,) = self.pids
        return 1024 * kilobytes(pid, "status", "RssAnon")

    def status(self):
        """What the module counts."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status?json", timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        self.machine.stop([self.process])


NGINX = """\
daemon off;
{user}
worker_processes {workers};
pid "{dir}/nginx.pid";
error_log "{dir}/error.log" error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 4m;
    client_body_buffer_size 2m;
    client_body_temp_path "{dir}/body";
    proxy_temp_path "{dir}/proxy";
    fastcgi_temp_path "{dir}/fastcgi";
    uwsgi_temp_path "{dir}/uwsgi";
    scgi_temp_path "{dir}/scgi";
    default_type application/json;
    server {{
        listen 127.0.0.1:{port};
        location /call {{ return 200 '{call}'; }}
        location /list {{ return 200 '{list}'; }}
    }}
}}
"""


def call_answer():
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "42"}]}}, separators=(",", ":")
    )


def list_answer():
    schema = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}
    tools = [
        {"name": f"tool-{n}", "description": "Adds two numbers and tells the sum.", "inputSchema": schema}
        for n in range(LIST_TOOLS)
    ]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}, separators=(",", ":"))


def start_nginx(machine):
    """The MCP server behind all variants; its port."""
    folder, port = os.path.join(machine.folder, "nginx"), free_port()
    os.makedirs(folder)
    conf = os.path.join(folder, "nginx.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(
            NGINX.format(
                user=f"user {machine.user};" if machine.user else "",
                dir=folder,
                port=port,
                call=call_answer(),
                list=list_answer(),
                workers=min(4, os.cpu_count() or 1),
            )
        )
    log = os.path.join(folder, "out.log")
    program = "/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else "nginx"
    process = machine.start([program, "-e", log, "-p", folder, "-c", conf], log)
    wait_for_port(port, process, log)
    return port
