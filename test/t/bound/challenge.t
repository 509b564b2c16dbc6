# Challenges where DPoP is spoken, and CORS: requirements.md POP-4, CHL-1, CHL-3 to CHL-5, CHL-8 to CHL-11, CHL-14, CHL-16, COR-3, COR-4.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $where = 'bound';
my $mcp = 'https://mcp.test/mcp';
my $algs = join ' ', @DPOP_ALGS;
sub prm { "https://mcp.test/.well-known/oauth-protected-resource/$_[0]" }
sub ask { my ($path, %opt) = @_; http($where, delete $opt{verb} // 'GET', $path, %opt) }

# --- nothing to judge: no error in any challenge
for my $verb (qw(GET POST DELETE HEAD)) {
    my @body = $verb eq 'POST' ? (body => rpc_body('ping'), headers => ['Content-Type', 'application/json']) : ();
    my $r = ask('/mcp', verb => $verb, @body);
    is $r->{code}, 401, "CHL-1 CHL-16 $verb without credentials";
    answers_json($r, 401, 'unauthorized', "CHL-1 $verb without credentials") unless $verb eq 'HEAD';
    is schemes($r), 'Bearer DPoP', "CHL-14 $verb: a line for each scheme";
    is_deeply { challenge($r) }, { '' => 'Bearer', resource_metadata => prm('mcp'), scope => 'a:one b:two' }, "CHL-3 CHL-5 $verb: the one of Bearer, as ever";
    is_deeply { challenge($r, 'DPoP') }, { '' => 'DPoP', resource_metadata => prm('mcp'), scope => 'a:one b:two', algs => $algs }, "POP-4 $verb: the one of DPoP";
    is_deeply [headers($r, 'DPoP-Nonce')], [], "POP-5 $verb: no nonce unless asked for";
}
{
    my $r = ask('/required');
    is schemes($r), 'DPoP', 'POP-4 Required: DPoP alone';
    is_deeply { challenge($r, 'DPoP') }, { '' => 'DPoP', resource_metadata => prm('required'), scope => 'a:one b:two', algs => $algs }, 'POP-4 Required: all of it';
    $r = ask('/off');
    is schemes($r), 'Bearer', 'POP-4 Off: Bearer alone';
    is_deeply { challenge($r) }, { '' => 'Bearer', resource_metadata => prm('off') }, 'POP-4 Off: all of it';
    is_deeply [map { [headers(ask('/mcp'), 'WWW-Authenticate')] } 1 .. 5], [([headers(ask('/mcp'), 'WWW-Authenticate')]) x 5], 'CHL-10 always the same';
    $r = ask('/realm');
    is { challenge($r) }->{realm}, 'The "MCP" realm', 'CHL-2 realm of Bearer';
    is { challenge($r, 'DPoP') }->{scope}, undef, 'CHL-2 no empty scope for DPoP';
    is { challenge(ask('/scope'), 'DPoP') }->{scope}, 'mcp:read mcp:admin', 'CHL-4 the scope of DPoP is that of Bearer';
}
for (['Basic', 'Basic YTpi'], ['an unknown scheme', 'DPoPish abc'], ['a token alone', 'abc.def.ghi'], ['Negotiate', 'Negotiate YII='], ['an empty field', '']) {
    my ($name, $value) = @$_;
    my $r = ask('/mcp', headers => [Authorization => $value, DPoP => 'x']);
    answers_json($r, 401, 'unauthorized', "CHL-3 $name");
    is_deeply [schemes($r), grep { /^error/ } map { keys %{ { challenge($r, $_) } } } qw(Bearer DPoP)], ['Bearer DPoP'], "CHL-3 $name: both challenges, no error";
    is schemes(ask('/required', headers => [Authorization => $value])), 'DPoP', "CHL-3 $name, Required";
}

# --- an error stands where it belongs
{
    my $r = ask('/mcp', token => 'a.b.c');
    answers_json($r, 401, 'invalid_token', 'CHL-14 a bad Bearer token');
    is_deeply [schemes($r), { challenge($r) }->{error}], ['Bearer DPoP', 'invalid_token'], 'CHL-14 a bad Bearer token: the error with Bearer';
    is_deeply { challenge($r, 'DPoP') }, { '' => 'DPoP', resource_metadata => prm('mcp'), scope => 'a:one b:two', algs => $algs }, 'CHL-14 and not with DPoP';
    $r = refuses_dpop(ask('/mcp', dpop_headers('a.b.c', 'x')), qr/^(?:token|dpop)-/, 'CHL-14 a bad token by DPoP', error => 'invalid_token');
    is_deeply { challenge($r) }, { '' => 'Bearer', resource_metadata => prm('mcp'), scope => 'a:one b:two' }, 'CHL-14 and nothing of it with Bearer';
    my %dpop = challenge($r, 'DPoP');
    is_deeply [@dpop{qw(scope algs)}], ['a:one b:two', $algs], 'POP-4 CHL-6 scope and algs as without credentials';
}
for my $verb (qw(GET HEAD)) {
    my $r = dpop($where, $verb => '/scope', bound(aud => 'https://mcp.test/scope'));
    is $r->{code}, 403, "CHL-8 $verb: a scope is missing";
    is schemes($r), 'DPoP', "CHL-14 $verb: a 403 has the challenge of the scheme that was used, alone";
    my %c = challenge($r, 'DPoP');
    is_deeply [@c{qw(error scope resource_metadata)}], ['insufficient_scope', 'mcp:read mcp:admin', prm('scope')], "CHL-8 CHL-9 $verb: what is missing";
    $r = ask('/scope', verb => $verb, token => token(aud => 'https://mcp.test/scope'));
    is_deeply [$r->{code}, schemes($r), { challenge($r) }->{error}], [403, 'Bearer', 'insufficient_scope'], "CHL-14 $verb: the same with Bearer";
}
{
    my $r = dpop($where, GET => '/claim', bound(aud => 'https://mcp.test/claim'));
    answers_json($r, 403, 'forbidden', 'CHL-11 no scope can help');
    is_deeply [schemes($r), { challenge($r, 'DPoP') }->{error}], ['DPoP', undef], 'CHL-11 the challenge of DPoP, without an error';
    my $acl = 'https://mcp.test/acl';
    my @json = (headers => ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream']);
    my $token = bound(aud => $acl, scope => 'mcp:read');
    is_status(dpop($where, POST => '/acl', $token, @json, body => rpc_body('tools/list')), 200, 'CHL-8 a message by DPoP passes');
    untouched $backend, 'CHL-8', sub { $r = dpop($where, POST => '/acl', $token, @json, body => rpc_body('tools/call', { name => 'x' })) };
    refused_rpc($r, 403, 403, '1', 'CHL-8 a message by DPoP: a scope is missing');
    my %c = challenge($r, 'DPoP');
    is_deeply [schemes($r), @c{qw(error scope)}], ['DPoP', 'insufficient_scope', 'mcp:admin'], 'CHL-8 CHL-14 a message by DPoP: the challenge';
    $r = rpc($where, '/acl', 'tools/call', { name => 'x' }, token => token(aud => $acl, scope => 'mcp:read'));
    is_deeply [$r->{code}, schemes($r)], [403, 'Bearer'], 'CHL-14 a message by Bearer: the challenge';
}
{
    my $r = ask('/edited');
    like header($r, 'WWW-Authenticate'), qr/^Bearer edited="yes", ?\w/, 'Header always edit: the first line';
    like +(headers($r, 'WWW-Authenticate'))[1], qr/^DPoP edited="yes", ?\w/, 'Header always edit: the second line';
}

# --- HEAD has what GET has
for (['nothing', {}], ['a bad token', { token => 'a.b.c' }], ['a bad token by DPoP', { dpop_headers('a.b.c', 'x') }], ['two schemes', { headers => [Authorization => 'DPoP x', Authorization => 'Bearer x'] }]) {
    my ($name, $opt) = @$_;
    my ($get, $head) = map { ask('/mcp', verb => $_, %$opt) } qw(GET HEAD);
    is_deeply [$head->{code}, headers($head, 'WWW-Authenticate')], [$get->{code}, headers($get, 'WWW-Authenticate')], "CHL-16 HEAD with $name";
    is $head->{body}, '', "CHL-16 HEAD with $name: no body";
}

# --- browsers
my @origin = (Origin => 'https://app.test');
my $t = bound(aud => $mcp);
for (['401', ask('/mcp', headers => [@origin])], ['200', dpop($where, GET => '/mcp', $t, headers => [@origin])], ['401 of a proof', dpop($where, GET => '/mcp', $t, proof => { htm => 'PUT' }, headers => [@origin])],
    ['401 of a nonce', dpop($where, GET => '/nonce', bound(aud => 'https://mcp.test/nonce'), headers => [@origin])], ['200 by Bearer', ask('/mcp', token => token(aud => $mcp), headers => [@origin])]) {
    my ($name, $r) = @$_;
    like $name, qr/^$r->{code}\b/, "COR-4 $name";
    my %exposed = map { lc $_ => 1 } map { split /\s*,\s*/ } headers($r, 'Access-Control-Expose-Headers');
    is_deeply [grep { !$exposed{ lc $_ } } qw(WWW-Authenticate Mcp-Session-Id DPoP-Nonce)], [], "COR-4 $name: exposes DPoP-Nonce";
    is scalar(headers($r, 'Access-Control-Expose-Headers')), 1, "COR-7 $name: in one field";
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], ['https://app.test'], "COR-5 $name: Allow-Origin";
}
untouched $backend, 'COR-1', sub {
    my $r = ask('/mcp', verb => 'OPTIONS', headers => [@origin, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization,content-type,dpop']);
    is $r->{code}, 204, 'COR-1 preflight';
    my %allowed = map { lc $_ => 1 } map { split /\s*,\s*/ } headers($r, 'Access-Control-Allow-Headers');
    is_deeply [grep { !$allowed{$_} } qw(authorization content-type dpop)], [], 'COR-3 Allow-Headers has DPoP by name';
    is_deeply [headers($r, 'DPoP-Nonce'), headers($r, 'WWW-Authenticate')], [], 'COR-1 and nothing of a challenge';
};
no_crash($mark);

done_testing;
