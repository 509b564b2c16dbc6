# Protected resource metadata: design 2.3, requirements.md PRM-1 to PRM-18.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Proof;

my $backend = MCP::Backend->start(port('metadata_backend'));
my $well = '/.well-known/oauth-protected-resource';
sub get { my ($path, %opt) = @_; http($opt{where} // 'metadata', $opt{verb} // 'GET', $path, %opt) }

# The document at a path, decoded, after what holds for all of them.
sub document {
    my ($path, $name, %opt) = @_;
    my $r = get($path, %opt);
    is_status($r, 200, "PRM-1 $name");
    return {} unless $r->{code} == 200;
    like header($r, 'Content-Type'), qr{^application/json\b}, "PRM-3 $name: type";
    like header($r, 'Cache-Control') // '', qr/\bmax-age=\d+/, "PRM-16 $name: max-age";
    like header($r, 'ETag') // '', qr{^(?:W/)?"[^"]+"$}, "PRM-16 $name: ETag";
    is_deeply [headers($r, 'Access-Control-Allow-Origin')], ['*'], "PRM-17 $name: CORS";
    is_deeply [headers($r, 'WWW-Authenticate')], [], "PRM-15 $name: no challenge";
    my $doc = json($r->{body});
    is_deeply [grep { !defined $doc->{$_} || (ref $doc->{$_} eq 'ARRAY' && !@{ $doc->{$_} })
                || (ref $doc->{$_} eq 'HASH' && !%{ $doc->{$_} }) || $doc->{$_} eq '' } sort keys %$doc], [], "PRM-3 $name: nothing empty";
    return $doc;
}

# --- members
is_deeply document("$well/bare", 'the least'), {
    resource => 'https://mcp.test/bare', authorization_servers => ['https://login.test/realms/x'], bearer_methods_supported => ['header'],
    dpop_signing_alg_values_supported => \@DPOP_ALGS
}, 'PRM-3 PRM-6 the least document; McpOAuthAuthorizationServer is advertised';
is_deeply document("$well/mcp", 'the most'), {
    resource => 'https://mcp.test/mcp', authorization_servers => ['https://as.test', 'https://b.test'],
    bearer_methods_supported => ['header'], scopes_supported => ['mcp:read', 'mcp:write'],
    resource_name => 'The MCP demo', 'resource_name#de' => 'Die MCP-Demo', resource_documentation => 'https://docs.test/',
    tls_client_certificate_bound_access_tokens => JSON::PP::false, resource_signing_alg_values_supported => ['RS256', 'ES256'],
    dpop_signing_alg_values_supported => \@DPOP_ALGS, x_number => 42, x_not_json => '{nearly', signed_metadata => 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA'
}, 'PRM-9 PRM-10 PRM-11 PRM-12 all members, no offline_access, the JSON of McpOAuthMetadata with its type';
like get("$well/mcp")->{body}, qr/"x_number":42\b/, 'PRM-11 a number is a number';
{
    my $r = get('/mcp');
    is_status($r, 401, 'TRN-18 without a token 401, never 404');
    my %c = challenge($r);
    is $c{scope}, 'mcp:read', 'PRM-10 a challenge does not ask for offline_access either';
    my ($path) = $c{resource_metadata} =~ m{^https://mcp\.test(/.*)};
    is document($path, 'by the challenge')->{resource}, 'https://mcp.test/mcp', 'PRM-7 found by the challenge as well as by its path';
}
is_deeply [sort keys %{ document("$well/least", 'DPoP Off') }], [qw(authorization_servers bearer_methods_supported resource)], 'POP-7 McpOAuthDPoP Off: even less';
is_deeply document("$well/required", 'RequireScope')->{scopes_supported}, ['s:b', 's:a'], 'PRM-9 scopes_supported from RequireScope, in order';

is document("$well/mcp", 'ServerName with a scheme and no port', where => 'metadata_front')->{resource}, 'https://front.test/mcp',
    'PRM-2 what clients see in front of a proxy, not where httpd listens';

# mod_filter, which distributions set up for all that is JSON, wants to be initialized.
{
    my %at = (where => 'metadata_front', headers => ['Accept-Encoding', 'gzip']);
    my $r = get("$well/mcp", %at);
    is_status($r, 200, 'PRM-1 AddOutputFilterByType DEFLATE');
    is header($r, 'Content-Encoding'), 'gzip', 'PRM-1 AddOutputFilterByType DEFLATE: compressed';
    is_status(get("$well/mcp", %at, verb => $_), $_ eq 'HEAD' ? 200 : 204, "PRM-1 AddOutputFilterByType DEFLATE: $_") for qw(HEAD OPTIONS);
    is_status(get("$well/mcp", %at, headers => [@{ $at{headers} }, 'If-None-Match', '*']), 304, 'PRM-16 AddOutputFilterByType DEFLATE: not modified');
    is_status(get("$well/none", %at), 404, 'PRM-5 AddOutputFilterByType DEFLATE: not found');
}

# --- where
is document("$well/slash/", 'a slash at the end')->{resource}, 'https://mcp.test/slash/', 'PRM-2 PRM-4 the slash stays';
is document("$well/deep/er/path", 'a resource with another name')->{resource}, 'https://other.test/deep/er/path',
    'PRM-2 the path of the resource, not of the location';
for my $path ("$well/slash", "$well/mcp/", "$well/mcp/inner", "$well/none", "$well/external/name", "$well/MCP", "/mcp$well",
    "/mcp/.well-known/oauth-protected-resource", "${well}x/mcp", '/.well-known/oauth-protected-resourc/mcp', "$well/mcp/x", "${well}mcp") {
    isnt get($path)->{code}, 200, "PRM-2 PRM-5 nothing at $path";
}
is get($well)->{code}, 404, 'PRM-8 nothing on the bare path with several resources';
isnt get("$well/")->{code}, 200, 'PRM-8 nor with a slash';

my $one = 'http://localhost:' . port('metadata_one') . '/mcp';
is document("$well/mcp", 'one resource', where => 'metadata_one')->{resource}, $one, 'PRM-4 the default resource';
is document($well, 'the bare path', where => 'metadata_one')->{resource}, $one, 'the bare path with exactly one resource';
unlike get("$well/other", where => 'metadata_one')->{body}, qr/"resource"/, 'but no other path';
is document($well, 'the whole host', where => 'metadata_root')->{resource}, 'https://root.test/', 'PRM-2 a resource without path';
is document('/custom/prm/mcp', 'McpOAuthMetadataPath', where => 'metadata_path')->{resource}, 'https://mcp.test/mcp', 'at another path';
is document('/custom/prm', 'McpOAuthMetadataPath, bare', where => 'metadata_path')->{resource}, 'https://mcp.test/mcp', 'bare, too';
unlike get("$well/mcp", where => 'metadata_path')->{body}, qr/"resource"/, 'and no longer at the well-known one';
is { challenge(get('/mcp', where => 'metadata_path')) }->{resource_metadata}, 'https://mcp.test/custom/prm/mcp', 'CHL-5 the challenge knows';
is { challenge(get('/x', where => 'metadata_root')) }->{resource_metadata}, "https://root.test$well", 'CHL-5 of a whole host';
{
    my $url = { challenge(get('/mcp/inner/x', where => 'metadata_one')) }->{resource_metadata};
    is $url, 'http://localhost:' . port('metadata_one') . "$well/mcp", 'PRM-5 an inner location names the resource it inherits';
}

# --- spellings of the path, none of which may come to the backend
# (on a host where everything else is proxied).
$backend->clear;
my $body = get("$well/mcp", where => 'metadata_one')->{body};
for my $path ("$well/%6dcp", '/%2ewell-known/oauth-protected-resource/mcp', '/.well-known/oauth%2Dprotected%2dresource/mcp', "/$well/mcp", "$well//mcp",
    "/x/..$well/mcp", "/.$well/mcp", "$well/./mcp", "$well/x/../mcp", "$well/mcp?x=1", "$well/mcp?", 'http://evil.test' . "$well/mcp") {
    my $r = get($path, where => 'metadata_one');
    ok $r->{code} == 200 && $r->{body} eq $body, "the same document at $path" or diag $r->{raw_head};
}
isnt get("$well%2fmcp", where => 'metadata_one')->{code}, 200, 'an encoded slash divides nothing';
ok get("$well/mcp%00", where => 'metadata_one')->{code} =~ /^4/, 'NUL in the path';
is $backend->accepts, 0, 'no spelling of it reached the backend';
$body = get("$well/mcp")->{body};

# --- verbs
{
    my $get = get("$well/mcp");
    my $head = get("$well/mcp", verb => 'HEAD');
    is $head->{code}, 200, 'PRM-14 HEAD';
    is $head->{body}, '', 'PRM-14 HEAD has no body';
    is header($head, $_), header($get, $_), "PRM-14 HEAD: $_ of GET" for qw(Content-Type Content-Length ETag Cache-Control Access-Control-Allow-Origin);
    is header($get, 'Content-Length'), length $get->{body}, 'PRM-14 Content-Length';
    is header($get, 'X-Always'), 'yes', 'Header always acts';
    is header($get, 'Set-Cookie'), undef, 'no cookie';
    for my $verb (qw(POST PUT DELETE PATCH FOO)) {
        my $r = get("$well/mcp", verb => $verb);
        is $r->{code}, 405, "PRM-14 $verb: 405";
        is join(' ', sort split /\s*,\s*/, header($r, 'Allow') // ''), 'GET HEAD OPTIONS', "PRM-14 $verb: Allow";
        is scalar(headers($r, 'Allow')), 1, "PRM-14 $verb: Allow once";
    }
    my $r = get("$well/mcp", verb => 'POST', body => rpc_body('ping'), headers => ['Content-Type', 'application/json']);
    is $r->{code}, 405, 'PRM-14 POST with a body: 405';
    $r = get("$well/mcp", verb => 'OPTIONS', headers => [Origin => 'https://evil.test', 'Access-Control-Request-Method' => 'GET',
        'Access-Control-Request-Headers' => 'mcp-protocol-version']);
    like $r->{code}, qr/^20[04]$/, 'PRM-17 preflight';
    is header($r, 'Access-Control-Allow-Origin'), '*', 'PRM-17 preflight: Allow-Origin';
    like header($r, 'Access-Control-Allow-Headers') // '', qr/mcp-protocol-version|\*/i, 'PRM-17 preflight: Allow-Headers';
    like header($r, 'Access-Control-Allow-Methods') // 'GET', qr/\bGET\b/, 'PRM-17 preflight: Allow-Methods';
    like get("$well/mcp", verb => 'OPTIONS')->{code}, qr/^20[04]$/, 'PRM-17 OPTIONS without Origin';
}

# --- conditions
{
    my $etag = header(get("$well/mcp"), 'ETag');
    is header(get("$well/mcp"), 'ETag'), $etag, 'PRM-16 the ETag is stable';
    isnt header(get("$well/bare"), 'ETag'), $etag, 'PRM-16 and another document has another';
    for (['the same', $etag], ['weak', 'W/' . ($etag =~ s{^W/}{}r)], ['in a list', "\"x\", $etag"], ['a star', '*']) {
        my ($name, $value) = @$_;
        my $r = get("$well/mcp", headers => ['If-None-Match' => $value]);
        is $r->{code}, 304, "PRM-16 If-None-Match, $name: 304";
        is $r->{body}, '', "PRM-16 $name: no body";
        is header($r, 'ETag'), $etag, "PRM-16 $name: ETag";
        like header($r, 'Cache-Control') // '', qr/max-age/, "PRM-16 $name: max-age";
        is header($r, 'Access-Control-Allow-Origin'), '*', "PRM-17 $name: CORS";
    }
    is get("$well/mcp", verb => 'HEAD', headers => ['If-None-Match' => $etag])->{code}, 304, 'PRM-16 HEAD: 304';
    is get("$well/mcp", headers => ['If-None-Match' => '"other"'])->{code}, 200, 'PRM-16 another ETag: 200';
}

# --- whoever asks, however
for (
    ['a foreign Origin', headers => [Origin => 'https://evil.test']], ['Origin null', headers => [Origin => 'null']],
    ['a bad token', token => 'a.b.c'], ['two tokens', headers => [Authorization => 'Bearer a', Authorization => 'Bearer b']],
    ['a hostile Host', host => 'evil.test'], ['no Accept', headers => [Accept => 'text/html']],
    ['X-Forwarded-*', headers => ['X-Forwarded-Host' => 'evil.test', 'X-Forwarded-Proto' => 'gopher', 'X-Forwarded-Port' => 1,
        Forwarded => 'host=evil.test']],
    ['HTTP/1.0 without Host', version => '1.0', host => undef], ['Upgrade', headers => [Upgrade => 'websocket', Connection => 'Upgrade']],
) {
    my ($name, %opt) = @$_;
    my $r = get("$well/mcp", %opt);
    is $r->{code}, 200, "PRM-15 PRM-18 $name";
    is $r->{body}, $body, "PRM-18 $name: the same document";
    is header($r, 'Access-Control-Allow-Origin'), '*', "PRM-17 $name: CORS";
    unlike $r->{raw_head}, qr/evil/, "PRM-18 $name: no header of it";
}
{
    my $c = connection('metadata');
    is http(metadata => GET => "$well/$_", on => $c)->{code}, 200, "several on one connection: $_" for qw(mcp bare mcp);
}
is get('/elsewhere')->{code}, 403, 'the rest of the host is closed';
is get('/mcp', token => token(aud => 'https://mcp.test/mcp'))->{code}, 403, 'and httpd still refuses what it should';
is $backend->accepts, 0, 'nothing of this reached the backend';

done_testing;
