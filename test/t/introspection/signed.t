# Signed answers (RFC 9701): requirements.md INT-6, INT-7. Where they are asked for nothing else counts.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Introspection;

my $as = MCP::Introspection->start(port('introspection_as'));
my $backend = MCP::Backend->start(port('introspection_backend'));
my $mark = log_mark();
my ($aud, $client, $issuer) = ('https://mcp.test/signed', 'gate:way 1', 'https://signed.intro.test');
my $type = 'application/token-introspection+jwt';
my %active = (active => JSON::PP::true(), aud => $aud, sub => 'alice');
sub get { http(introspection => GET => '/signed', token => $_[0]) }

# A JWT about %active; options and members as those of token, undef takes away.
sub answer {
    my %o = @_;
    my %c = (iss => $issuer, aud => $client, iat => now(), token_introspection => \%active, (map { $_ => undef } qw(sub client_id exp jti scope)),
        map { $_ => $o{$_} } grep { !/^-/ } keys %o);
    my %opt = map { $_ => $o{$_} } grep { /^-/ } keys %o;
    return token(%c, -key => 'ec256', %opt, -header => { typ => 'token-introspection+jwt', %{ $opt{-header} || {} } });
}
sub said {
    my ($text, $content_type) = @_;
    my $token = opaque();
    $as->says($token, body => $text, headers => ['Content-Type', $content_type // $type]);
    return $token;
}
sub good { my ($name, @answer) = @_; my $r = get(said(answer(@answer))); is_status($r, 200, "INT-6 $name: accepted"); return $r }
# After each failure comes a success: no circuit breaker opens.
sub bad_text {
    my ($name, @said) = @_;
    my $token = said(@said);
    untouched($backend, "INT-6 $name", sub { unavailable(get($token), "INT-6 $name: 503") });
    good("after $name, the next");
}
sub bad { my ($name, @answer) = @_; bad_text($name, answer(@answer)) }

{
    $as->clear;
    my $r = good('a signed answer');
    is header($r, 'X-User'), 'alice', 'INT-6 says who it is';
    my ($call) = grep { $_->{method} eq 'POST' } $as->requests;
    is $call->{headers}{accept}, $type, 'INT-6 it was asked for';
}
good("by $_", -key => $_) for qw(rsa ec384 ed25519);
good('aud in a list', aud => ['https://x.test', $client]);
good('aud the resource', aud => $aud);
good('typ with application/', -header => { typ => $type });
good('with times that hold', exp => now() + 60, nbf => now() - 60);
is_status(get(said(answer(), "$type; charset=utf-8")), 200, 'INT-6 Content-Type with a parameter: accepted');
inactive(get(said(answer(token_introspection => { active => JSON::PP::false() }))), 'token-inactive', 'INT-6 signed: inactive');
inactive(get(said(answer(token_introspection => {}))), 'token-inactive', 'INT-6 signed: nothing');
inactive(get(said(answer(token_introspection => { %active, aud => 'https://x.test' }))), 'token-audience', 'INT-3 signed: about a token of another resource');
inactive(get(said(answer(token_introspection => { %active, exp => now() - 3600 }))), 'token-expired', 'INT-3 signed: about an expired token');

my $plain = json_text(\%active);
{
    my $token = said($plain, 'application/json');
    my $r = http(introspection_other => GET => '/signed', token => $token);
    is_status($r, 200, 'INT-6 where answers need no signature: accepted');
    unavailable(get($token), 'INT-6 which another host that trusts signed ones alone does not take over');
    good('after that, the next');
}
bad_text('plain JSON', $plain, 'application/json');
bad_text('plain JSON under the name of a JWT', $plain);
bad_text('a JWT under the name of JSON', answer(), 'application/json');
bad_text('a JWT under the name of any JWT', answer(), 'application/jwt');
bad_text('no byte', '');
bad_text('JSON in front', '{}' . answer());
bad('typ JWT', -header => { typ => 'JWT' });
bad('typ at+jwt', -header => { typ => 'at+jwt' });
bad('no typ', -header => { typ => undef });
bad('a key of somebody else', -key => 'stranger_ec', -kid => 'ec256');
bad('a kid that nobody knows', -kid => 'nobody');
bad_text('half a signature', substr answer(), 0, -42);
bad_text('no signature', answer() =~ s/[^.]+\z//r);
bad('alg none', -none => 1, -header => { alg => 'none' });
bad('crit', -header => { crit => ['x'], x => 1 });
bad('its key in the header', -key => 'stranger_ec', -kid => undef, -header => { jwk => json(jwk('stranger_ec')) });
bad_text('alg HS256 with the client secret', hmac_token('HS256', "p%40s s:+&\xc3\xa9", iss => $issuer, aud => $client, iat => now(),
    token_introspection => \%active, -header => { typ => 'token-introspection+jwt' }, -kid => undef));
bad('iss of somebody else', iss => 'https://as.test');
bad('no iss', iss => undef);
bad('aud of somebody else', aud => 'gateway-2');
bad('aud a part of ours', aud => [substr($aud, 0, -1), substr($client, 0, -1)]);
bad('no aud', aud => undef);
bad('iat an hour ago', iat => now() - 3600);
bad('iat in an hour', iat => now() + 3600);
bad('no iat', iat => undef);
bad('iat a string', iat => '' . now());
bad('expired', exp => now() - 3600);
bad('not yet', nbf => now() + 3600);
bad('no token_introspection', token_introspection => undef, %active{qw(active sub)});
bad('token_introspection a list', token_introspection => [\%active]);
bad('token_introspection a text', token_introspection => $plain);
bad('token_introspection twice', -payload_text => sprintf '{"iss":"%s","aud":"%s","iat":%d,"token_introspection":{"active":false},"token_introspection":%s}',
    $issuer, $client, now(), $plain);

# An answer is no access token.
{
    my $before = $as->calls;
    my $jwt = answer(aud => [$client, $aud], exp => now() + 600, sub => 'alice', client_id => 'x', jti => 'y');
    inactive(get($jwt), 'token-type', 'INT-7 a signed answer as an access token');
    is scalar(my @calls = $as->calls), $before, 'INT-7 about which nobody is asked';
}
# A JWT of this issuer is verified here.
{
    my $before = $as->calls;
    is_status(get(token(iss => $issuer, aud => $aud, -key => 'ec256')), 200, 'T24 a JWT of the issuer');
    is scalar(my @calls = $as->calls), $before, 'T24 about which nobody is asked';
}
unlogged('O02 no token and no secret in the error log', log_since($mark), "p%40s s:+&\xc3\xa9");
no_crash($mark);
done_testing;
