# Tokens that belong to a client certificate: requirements.md POP-8 (RFC 8705 section 3).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use Digest::SHA ();
use MCP::HTTP2 ();
use MCP::Proof;

plan skip_all => 'mod_ssl or IO::Socket::SSL is not there' unless Apache::Test::have_module('mod_ssl') && eval { require IO::Socket::SSL; 1 };

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $mcp = 'https://mcp.test/mcp';
my %x5t = map { $_ => certificate_thumbprint(made("cert-$_.pem")) } qw(client_a client_b client_c);
my $jkt = thumbprint('dpop');

# What prefork does not speak.
my @protocols = ('http/1.1', vars('mcp_mpm') eq 'prefork' ? () : 'h2');

# A connection with this certificate (undef: none) that speaks this protocol.
my %contexts;
sub tls {
    my ($where, $name, $protocol, @more) = @_;
    $protocol //= 'http/1.1';
    my @certificate = $name ? (SSL_use_cert => 1, SSL_cert_file => made("cert-$name.pem"), SSL_key_file => made("$name.pem")) : ();
    my $context = $contexts{ join ' ', $name // '', $protocol, @more } //= MCP::HTTP2::tls_context($protocol, @certificate, @more);
    my $class = $protocol eq 'h2' ? 'MCP::HTTP2' : 'MCP::Connection';
    return $class->new(port($where), tls => 1, context => $context);
}
sub with { my ($name, $token, %opt) = @_; http('bound_tls', GET => '/mcp', token => $token, %opt, on => tls('bound_tls', $name, delete $opt{protocol})) }
sub refuses_with {
    my ($name, $token, $reason, $what, %opt) = @_;
    my $r = with($name, $token, %opt);
    answers_json($r, 401, 'invalid_token', $what);
    is_deeply [reason($r), schemes($r), { challenge($r) }->{error}, { challenge($r, 'DPoP') }->{error}], [$reason, 'Bearer DPoP', 'invalid_token', undef], "$what: the reason";
    return $r;
}
sub of { my ($name, @more) = @_; token(aud => $mcp, cnf => { 'x5t#S256' => $x5t{$name} }, @more) }

# Whether the client's certificate gets there at all. Without that nothing here says anything.
for (['a', 'client_a'], ['b', 'client_b'], ['one that no authority here knows', 'client_c']) {
    my ($what, $name) = @$_;
    for my $protocol (@protocols) {
        my $r = with($name, of($name), protocol => $protocol);
        is_status($r, 200, "POP-8 $protocol: a token of certificate $what, with it");
        is header($r, 'X-User'), 'alice', "POP-8 $protocol: $what: REMOTE_USER";
        is header($r, 'X-Type'), 'Bearer', "POP-8 $protocol: $what: AUTH_TYPE";
    }
}
is with($_, token(aud => $mcp))->{code}, 200, 'POP-8 a token without cnf needs no certificate: ' . ($_ // 'none') for undef, 'client_a';

untouched $backend, 'POP-8', sub {
    my $t = of('client_a');
    for my $protocol (@protocols) {
        refuses_with(undef, $t, 'token-certificate', "POP-8 $protocol: no certificate", protocol => $protocol);
        refuses_with($_, $t, 'token-certificate', "POP-8 $protocol: another certificate, $_", protocol => $protocol) for qw(client_b client_c);
    }
    refuses_with('client_a', of('client_b'), 'token-certificate', 'POP-8 and the other way round');

    # What the thumbprint is not.
    my ($base64) = slurp(made('cert-client_a.pem')) =~ /-----BEGIN CERTIFICATE-----(.*?)-----END/s;
    my $der = MIME::Base64::decode_base64($base64);
    my $digest = unb64($x5t{client_a});
    my $public = MCP::Keys::run(vars('mcp_mint'), 'public', made('client_a.pem'), '--der');
    for (['of the public key', Digest::SHA::sha256($public)], ['of the PEM text', Digest::SHA::sha256(slurp(made('cert-client_a.pem')))], ['of the base64 text', Digest::SHA::sha256($base64)],
        ['one bit off', $digest ^ ("\0" x 31 . "\1")], ['zeros', "\0" x 32], ['of nothing', Digest::SHA::sha256('')], ['twice hashed', Digest::SHA::sha256($digest)]) {
        my ($what, $bytes) = @$_;
        refuses_with('client_a', token(aud => $mcp, cnf => { 'x5t#S256' => b64($bytes) }), 'token-certificate', "POP-8 a hash $what");
    }
    # What is no hash at all, or is more than this.
    my $good = $x5t{client_a};
    for (['in hexadecimal digits', { 'x5t#S256' => unpack 'H*', $digest }], ['with padding', { 'x5t#S256' => "$good=" }], ['of SHA-1', { 'x5t#S256' => b64(Digest::SHA::sha1($der)) }], ['of SHA-512', { 'x5t#S256' => b64(Digest::SHA::sha512($der)) }],
        ['empty', { 'x5t#S256' => '' }], ['a list', { 'x5t#S256' => [$good] }], ['another member beside', { 'x5t#S256' => $good, kid => 'x' }], ['x5t', { x5t => $good }], ['in small letters', { 'x5t#s256' => $good }], ['no object', $good]) {
        my ($what, $cnf) = @$_;
        refuses_with('client_a', token(aud => $mcp, cnf => $cnf), 'token-bound', "POP-8 a thumbprint $what");
    }

    # What a client says of its certificate in fields.
    my $pem = join '%0A', split /\n/, slurp(made('cert-client_a.pem'));
    refuses_with('client_b', $t, 'token-certificate', 'POP-9 a field that names another certificate', headers => [map { ($_ => $pem) } qw(SSL-Client-Cert X-SSL-Client-Cert SSL_CLIENT_CERT X-Client-Cert X-Forwarded-Client-Cert Client-Cert)]);
    refuses_with(undef, $t, 'token-certificate', 'POP-9 the same without any', headers => ['SSL_CLIENT_CERT' => slurp(made('cert-client_a.pem')) =~ tr/\n/ /r, 'SSL_CLIENT_VERIFY' => 'SUCCESS']);

    # In the clear there is no certificate.
    my $r = http(bound => GET => '/mcp', token => $t);
    is_deeply [$r->{code}, reason($r)], [401, 'token-certificate'], 'POP-8 no TLS, or none that asks for a certificate';
};

# --- a token that is known already
{
    my $t = of('client_a');
    is with($_->[0], $t)->{code}, $_->[1], 'C01 ' . ($_->[0] // 'none') . ": $_->[1]" for ['client_a', 200], ['client_b', 401], [undef, 401], ['client_a', 200], ['client_b', 401];
    my ($a, $b) = map { tls('bound_tls', $_) } qw(client_a client_b);
    is_deeply [map { http('bound_tls', GET => '/mcp', token => $t, on => $_)->{code} } $a, $b, $a, $b, $a], [200, 401, 200, 401, 200], 'C01 on two connections in turn';
    if (@protocols > 1) {
        my $c = tls('bound_tls', 'client_a', 'h2');
        my @streams = map { send_request('bound_tls', GET => '/mcp', token => $_, on => $c) } $t, of('client_b'), $t, token(aud => $mcp);
        is_deeply [map { $_->answer('GET')->{code} } @streams], [200, 401, 200, 200], 'C01 HTTP/2: the streams of a connection have its certificate';
    }
}

# --- a TLS session that is resumed, where no certificate is sent again
{
    my @how = ('http/1.1', SSL_session_cache_size => 10, SSL_version => 'TLSv1_2');
    my $t = of('client_a');
    my $reused = 0;
    for my $round (1 .. 3) {
        my $c = tls('bound_tls', 'client_a', @how);
        $reused++ if $c->{sock}->get_session_reused;
        is http('bound_tls', GET => '/mcp', token => $t, on => $c)->{code}, 200, "POP-8 resumed session, connection $round";
        is http('bound_tls', GET => '/mcp', token => of('client_b'), on => $c)->{code}, 401, "POP-8 resumed session, connection $round: a token of another certificate";
        $c->close;
    }
    cmp_ok $reused, '>', 0, 'POP-8 sessions were resumed';
}

# --- certificate and key
{
    my $t = token(aud => $mcp, cnf => { jkt => $jkt, 'x5t#S256' => $x5t{client_a} });
    my $ask = sub { my ($name, %proof) = @_; http('bound_tls', GET => '/mcp', dpop_headers($t, proof(GET => $mcp, $t, %proof)), on => tls('bound_tls', $name)) };
    is_status($ask->('client_a'), 200, 'POP-8 POP-2 a token of a certificate and a key: both are there');
    refuses_dpop($ask->($_), 'token-certificate', 'POP-8 POP-2 the certificate is ' . ($_ // 'missing')) for 'client_b', undef;
    refuses_dpop($ask->('client_a', -key => 'dpop_b'), 'dpop-key', 'POP-8 POP-2 the key is another');
    my $r = http('bound_tls', GET => '/mcp', dpop_headers($t), on => tls('bound_tls', 'client_a'));
    refuses_dpop($r, 'dpop-missing', 'POP-8 POP-2 the proof is missing');
    refuses_with('client_a', $t, 'token-bound', 'POP-8 POP-1 as Bearer, though the certificate is there');
}

# --- what the location says of DPoP
{
    my $required = 'https://mcp.test/required';
    my $t = token(aud => $required, cnf => { 'x5t#S256' => $x5t{client_a} });
    my $r = http('bound_tls', GET => '/required', token => $t, on => tls('bound_tls', 'client_a'));
    answers_json($r, 401, 'invalid_token', 'POP-7 McpOAuthDPoP Required: a token of a certificate, with it');
    is_deeply [reason($r), schemes($r)], ['token-unbound', 'DPoP'], 'POP-7 McpOAuthDPoP Required: a certificate does not replace a proof';
    my $off = 'https://mcp.test/off';
    $r = http('bound_tls', GET => '/off', token => token(aud => $off, cnf => { 'x5t#S256' => $x5t{client_a} }), on => tls('bound_tls', 'client_a'));
    is_deeply [$r->{code}, reason($r), schemes($r)], [401, 'token-bound', 'Bearer'], 'McpOAuthDPoP Off: every bound token is refused';
}

# --- SSLVerifyClient in a location: TLS 1.2 asks for the certificate in the midst of the connection
{
    my $ask = sub { my ($path, $name, $token, @more) = @_; http('bound_tls_place', GET => $path, token => $token, on => tls('bound_tls_place', $name, 'http/1.1', @more)) };
    my $t = of('client_a');
    my $r = $ask->('/mcp', 'client_a', $t);
    is_deeply [$r->{code}, reason($r)], [401, 'token-certificate'], 'POP-8 where nobody asks for the certificate it is not there';
    is_status($ask->($_, 'client_a', $t), 200, "POP-8 $_: where it is asked for it is") for '/mcp/asks', '/mcp/requires';
    $r = $ask->('/mcp/asks', $_, $t), is_deeply [$r->{code}, reason($r)], [401, 'token-certificate'], 'POP-8 /mcp/asks: another one, or none: ' . ($_ // 'none') for 'client_b', undef;
    $r = $ask->('/mcp/requires', 'client_b', $t);
    is_deeply [$r->{code}, reason($r)], [401, 'token-certificate'], 'POP-8 /mcp/requires: another one';
    $r = eval { $ask->('/mcp/requires', undef, $t) } || { code => 0 };
    isnt $r->{code}, 200, 'POP-8 /mcp/requires: none';
}
no_crash($mark);

done_testing;
