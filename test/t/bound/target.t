# Which URL a DPoP proof has to name: that of the configuration, whatever the client says the host is. Requirements.md POP-3, POP-9;
# threats.md O04.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my %tokens;
sub t { my $resource = shift; $tokens{$resource} //= bound(aud => $resource) }
sub passes_with { my ($path, $resource, $url, $name, %opt) = @_; is_status(dpop($opt{where} // 'bound', GET => $path, t($resource), %opt, url => $url), 200, "POP-3 $name") }
sub fails_with { my ($path, $resource, $url, $name, %opt) = @_; refuses_dpop(dpop($opt{where} // 'bound', GET => $path, t($resource), %opt, url => $url), 'dpop-url', "POP-3 $name") }
my $mcp = 'https://mcp.test/mcp';

# --- what a client can say about the host
my @forged = ('X-Forwarded-Host', 'evil.test', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Port', '443', 'X-Forwarded-Server', 'evil.test', 'Forwarded', 'host=evil.test;proto=https',
    'X-Original-URL', 'https://evil.test/mcp', 'X-Host', 'evil.test');
for (['Host', host => 'evil.test'], ['forwarding fields', headers => \@forged], ['both', host => 'evil.test', headers => \@forged]) {
    my ($name, @opt) = @$_;
    fails_with '/mcp', $mcp, 'https://evil.test/mcp', "$name: a proof for the host that was said", @opt;
    passes_with '/mcp', $mcp, $mcp, "$name: a proof for the resource", @opt;
}
fails_with '/mcp', $mcp, 'http://localhost:' . port('bound') . '/mcp', 'a proof for the name of the virtual host';
fails_with '/mcp', $mcp, 'https://localhost:' . port('bound') . '/mcp', 'the same with https';
{
    my @why = (h1 => 'a target in absolute form');
    fails_with 'http://evil.test/mcp', $mcp, 'http://evil.test/mcp', 'absolute form: a proof for the host that was said', @why;
    passes_with 'http://evil.test/mcp', $mcp, $mcp, 'absolute form: a proof for the resource', @why;
}

# --- query
passes_with "/mcp$_", $mcp, $mcp, "the request has a query: $_" for '?x=1', '?', '?a=b?c', '?https://evil.test/';
passes_with '/mcp?x=1', $mcp, "$mcp?x=1", 'the request and the proof have it';
passes_with '/mcp?x=1', $mcp, "$mcp?y=2", 'they have different ones';

# --- below the resource
passes_with "/mcp$_->[0]", $mcp, "$mcp$_->[1]", "$_->[0] by $_->[1]" for (
    ['/sub', '/sub'], ['/sub/', '/sub/'], ['/', '/'], ['/a/b/c', '/a/b/c'], ['/a%20b', '/a%20b'], ['/%61', '/a'], ['/a', '/%61'], ['/~x', '/%7Ex'], ['/%7ex', '/~x'], ['/%c3%a9', '/%C3%A9'], ['/a+b', '/a+b'],
    ['/sub/../other', '/other'], ['/a;v=1', '/a;v=1'],
);
fails_with "/mcp$_->[0]", $mcp, "$mcp$_->[1]", "$_->[0] by $_->[1]" for (
    ['/sub', ''], ['', '/sub'], ['/sub', '/sub/'], ['/sub/', '/sub'], ['/', ''], ['', '/'], ['/sub', '/other'], ['/sub', '/SUB'], ['/a/b', '/b'], ['/a/b', '/a'], ['/a%20b', '/a%2520b'], ['/a%20b', '/a+b'], ['/a', '/b/../c'],
);

# --- the resource has another path than the location: both URLs may be what the client has called
my $there = 'https://mcp.test/deep/there';
passes_with "/here$_", $there, "$there$_", "the path of the resource: /here$_" for '', '/x', '/x/y?z', '/inner', '/inner/x';
passes_with "/here$_", $there, "https://mcp.test/here$_", "the path of the request: /here$_" for '', '/x', '/inner/x';
fails_with $_->[0], $there, $_->[1], "$_->[0] by $_->[1]" for (['/here/x', $there], ['/here', "$there/x"], ['/here/x', "$there/here/x"], ['/here/x', 'https://mcp.test/deep/x'], ['/here/x', 'https://mcp.test/x'],
    ['/here/inner/x', "$there/x"], ['/here/x', "$there/../x"], ['/here/x', 'https://localhost/here/x']);
passes_with '/port/x', 'https://mcp.test:8443/port', 'https://mcp.test:8443/port/x', 'the port of the resource';
fails_with '/port/x', 'https://mcp.test:8443/port', "https://mcp.test$_/port/x", "the port of the resource, not '$_'" for '', ':443';
passes_with '/match1/x', 'https://mcp.test/match', 'https://mcp.test/match1/x', '<LocationMatch>: the path of the request';
fails_with '/match1/x', 'https://mcp.test/match', 'https://mcp.test/match2/x', '<LocationMatch>: not that of another one';
{
    # Its metadata say which scheme.
    my ($scheme) = ({ challenge(http(bound => GET => '/default')) }->{resource_metadata} // '') =~ /^(https?):/;
    my $default = "$scheme://localhost:" . port('bound') . '/default';
    passes_with '/default/x', $default, "$default/x", 'a resource from ServerName';
    passes_with '/default/x', $default, "$default/x", 'a resource from ServerName, and another Host', host => 'evil.test';
    fails_with '/default/x', $default, "$scheme://evil.test/default/x", 'a resource from ServerName is not one from Host', host => 'evil.test';
    fails_with '/default/x', $default, "$scheme://evil.test:" . port('bound') . '/default/x', 'nor with the port', host => 'evil.test:' . port('bound');
}
# A slash at the end of either.
for (['/tail', 'https://mcp.test/deep/tail/'], ['/slash/', 'https://mcp.test/deep/slash/']) {
    my ($path, $resource) = @$_;
    my $below = $path =~ s{/$}{}r . '/x/y';
    passes_with $path, $resource, $resource, "$path of $resource";
    passes_with $below, $resource, "${resource}x/y", "$below below $resource";
    fails_with $below, $resource, $_, "$below is not $_" for "$resource/x/y", $resource, "${resource}y", 'https://mcp.test/deepx/y', 'https://mcp.test/deep/tailx/y', 'https://mcp.test/deep/slashx/y';
}
{
    my $base = 'https://root.test/base';
    passes_with $_->[0], $base, $_->[1], "the whole host is $base: $_->[0]", where => 'bound_base' for (['/x', "$base/x"], ['/x/y', "$base/x/y"], ['/x', 'https://root.test/x']);
    fails_with $_->[0], $base, $_->[1], "the whole host is $base: $_->[0] by $_->[1]", where => 'bound_base' for (['/x', $base], ['/x', "${base}x"], ['/x', "$base//x"], ['/x', "$base/"]);
}
my $root = 'https://root.test/';
passes_with $_->[0], $root, $_->[1], "the whole host: $_->[0] by $_->[1]", where => 'bound_root' for (['/', 'https://root.test/'], ['/', 'https://root.test'], ['/x', 'https://root.test/x'], ['/x/y?z', 'https://root.test/x/y']);
fails_with $_->[0], $root, $_->[1], "the whole host: $_->[0] by $_->[1]", where => 'bound_root' for (['/x', 'https://root.test/'], ['/', 'https://root.test/x'], ['/x', 'https://root.test//x']);
passes_with '/rewritten', $mcp, 'https://mcp.test/rewritten', 'a rewritten URL: the one that the client knows';

# --- methods
my $ok = rpc_body('tools/call', { name => 'ok' });
my @json = ('Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream');
for my $verb (qw(GET HEAD DELETE POST)) {
    my @body = $verb eq 'POST' ? (body => $ok, headers => [@json]) : ();
    is dpop(bound => $verb => '/mcp', t($mcp), @body)->{code}, 200, "POP-3 $verb with a proof for it";
    for my $other (grep { $_ ne $verb } qw(GET HEAD DELETE POST)) {
        my $r = dpop(bound => $verb => '/mcp', t($mcp), @body, proof => { htm => $other });
        refuses_dpop($r, 'dpop-method', "POP-3 $verb with a proof for $other", head => $verb eq 'HEAD');
    }
}
no_crash($mark);

done_testing;
