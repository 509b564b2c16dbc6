# What the authorization server is asked, and as whom: requirements.md INT-1; threats.md O02. How its endpoint and the way to
# authenticate there are found.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;
use MIME::Base64 ();

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
my ($client, $secret) = ('gate:way 1', "p%40s s:+&\xc3\xa9");
sub get { my ($path, $token, %opt) = @_; http(introspection => GET => $path, token => $token, %opt) }
sub active { my ($location, @more) = @_; $as->active(aud => "https://mcp.test/$location", @more) }
sub posts { grep { $_->{method} eq 'POST' } $as->requests }

# One request with a new token, which is good; the one call that it caused.
sub call {
    my ($name, $location, $path, %opt) = @_;
    my $token = $opt{token} // opaque();
    active($location, -token => $token);
    $as->clear;
    my $r = get("/$location", $token, %{ $opt{request} || {} });
    my @calls = posts();
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($r, 200, "INT-1 $name: accepted");
    is scalar(@calls), 1, "INT-1 $name: after one call";
    is $calls[0]{target}, $path, "INT-1 $name: there, without a query";
    my $form = MCP::Introspection::form($calls[0]{body});
    is_deeply $form->{token}, [$token], "INT-1 $name: with the token";
    return ($calls[0], $form);
}
sub by_basic {
    my ($name, @more) = @_;
    my ($call, $form) = call($name, @more);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply [MCP::Introspection::basic($call->{headers}{authorization})], [$client, $secret], "INT-1 $name: credentials by Basic";
    is_deeply [grep { /^client/ } keys %$form], [], "INT-1 $name: and not in the form";
    return ($call, $form);
}
sub by_post {
    my ($name, @more) = @_;
    my ($call, $form) = call($name, @more);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply [@$form{qw(client_id client_secret)}], [[$client], [$secret]], "INT-1 $name: credentials in the form";
    ok !exists $call->{headers}{authorization}, "INT-1 $name: and no Authorization";
    return ($call, $form);
}

# --- the request itself
{
    my ($call, $form) = by_basic('client_secret_basic', 'basic', '/basic');
    is $call->{headers}{'content-type'}, 'application/x-www-form-urlencoded', 'INT-1 a form';
    is $call->{headers}{accept}, 'application/json', 'INT-1 JSON is asked for';
    is_deeply $form->{token_type_hint}, ['access_token'], 'INT-1 the hint';
    is_deeply [sort keys %$form], [qw(token token_type_hint)], 'INT-1 and nothing else';
    my ($sent) = $call->{headers}{authorization} =~ /^Basic (\S+)$/;
    like MIME::Base64::decode_base64($sent), qr/\A[A-Za-z0-9._~*+%-]+:[A-Za-z0-9._~*+%-]+\z/, 'INT-1 both are form-urlencoded inside Basic';
    is_deeply [map { $_->[0] } grep { $_->[0] =~ /^(?:Cookie|X-Mcp-.*|X-Forwarded.*|Expect)$/i } @{ $call->{lines} }], [], 'INT-1 no field of the client';
}
{
    my ($call) = by_basic('a request with fields of its own', 'basic', '/basic',
        request => { headers => ['Cookie', 'a=b', 'X-Mcp-User', 'root', 'X-Forwarded-For', '10.0.0.1', 'Accept', 'text/html'] });
    is_deeply [grep { /cookie|x-mcp|x-forwarded/ } keys %{ $call->{headers} }], [], 'INT-1 none of them goes to the authorization server';
    is $call->{headers}{accept}, 'application/json', 'INT-1 nor its Accept';
}
{
    my ($call) = by_post('client_secret_post', 'post', '/post/introspect');
    unlike $call->{body}, qr/[^A-Za-z0-9._~*+%&=-]/, 'INT-1 a form holds no other characters';
}
# What token68 allows must come out of the form as it went in.
by_basic("a token with $_->[0]", 'basic', '/basic', token => $_->[1])
    for ['all characters', 'a+b/c~d-e_f.g' . opaque() . '=='], ['the length of a JWT', substr opaque() x 100, 0, 4000];
by_post('a token with a plus, in the form beside the secret', 'post', '/post/introspect', token => '+/+' . opaque() . '=');
by_basic('a relative endpoint', 'rooted', '/rooted/oauth/introspect');

# --- found by discovery
my $url = $as->url;
sub metadata {
    my ($name, %member) = @_;
    $as->discovery("/.well-known/oauth-authorization-server/$name", issuer => "$url/$name", jwks_uri => "$url/$name/jwks",
        introspection_endpoint => "$url/$name/introspect", %member);
}
sub methods { (introspection_endpoint_auth_methods_supported => [@_]) }
metadata('found', methods(qw(client_secret_post client_secret_basic)));
metadata('found-post', methods(qw(private_key_jwt client_secret_post)));
metadata('found-silent');
metadata('given', methods('client_secret_post'));
metadata('forced-post', methods('client_secret_basic'));
metadata('forced-basic', methods('client_secret_post'));
by_basic('auto, both ways are listed', 'found', '/found/introspect');
by_post('auto, one way is listed', 'found-post', '/found-post/introspect');
by_basic('auto, no way is listed', 'found-silent', '/found-silent/introspect');
by_post('a URL, the way by metadata', 'given', '/given/introspect');
by_basic('a URL, and no metadata', 'given-none', '/given-none/introspect');
by_post('McpOAuthIntrospectionAuth client_secret_post', 'forced-post', '/forced-post/introspect');
by_basic('McpOAuthIntrospectionAuth client_secret_basic', 'forced-basic', '/forced-basic/introspect');
$as->clear;
is_deeply [map { get('/found', active('found'))->{code} } 1 .. 20], [(200) x 20], 'INT-1 auto, the next tokens';
cmp_ok scalar(grep { $_->{method} eq 'GET' && $_->{path} =~ m{/found\z} } $as->requests), '<', 8, 'INT-1 auto: each process looks for it once at most, and one has done so';

$as->discovery('/elsewhere/.well-known/openid-configuration', issuer => "$url/elsewhere", introspection_endpoint => "$url/other/place");
by_basic('auto, OpenID Connect metadata, an endpoint elsewhere', 'elsewhere', '/other/place');

# --- metadata that must not be used: 503, and the token goes nowhere
metadata('mismatch', issuer => "$url/found");
metadata('no-endpoint', introspection_endpoint => undef);
metadata('neither', methods(qw(private_key_jwt tls_client_auth)));
metadata('far', introspection_endpoint => 'http://as.test/introspect');
$as->clear;
untouched($backend, 'INT-5 unusable metadata', sub {
    unavailable(get("/$_", active($_)), "INT-5 auto, metadata: $_") for qw(mismatch no-endpoint neither far late-found);
});
is_deeply [map { $_->{target} } posts()], [], 'INT-1 nor is anything sent then';

# --- metadata that comes late are found
metadata('late-found');
my $late = active('late-found');
ok wait_for(70, sub { get('/late-found', $late)->{code} == 200 }, 0.25), 'INT-1 auto: metadata that come later are found';

my @said = (log_since($mark), access_since($mark));
unlogged('INT-1 O02 no token and no secret in the error log', $said[0], $secret);
unlogged('INT-1 O02 no token and no secret in the access log', $said[1], $secret);
no_crash($mark);
done_testing;
