# Every check of a DPoP proof, each with one thing wrong: requirements.md POP-3 (RFC 9449 section 4.3).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use Digest::SHA qw(sha256);
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $aud = 'https://mcp.test/mcp';
my $t = bound(aud => $aud);
my %by = map { $_ => bound(aud => $aud, -holder => $_) } qw(rsa weak ec384 ec521 ed25519 ed448);

sub ask { my ($token, @proofs) = @_; http(bound => GET => '/mcp', dpop_headers($token, @proofs)) }
sub good { my ($name, %how) = @_; my $token = $how{-key} ? $by{ $how{-key} } : $t; is_status(ask($token, proof(GET => $aud, $token, %how)), 200, "POP-3 $name") }
sub bad {
    my ($reason, $name, %how) = @_;
    my $token = $by{ $how{-key} // '' } // $t;
    refuses_dpop(ask($token, proof(GET => $aud, $token, %how)), $reason, "POP-3 $name");
}
my $now = now();

good 'a good proof';
is scalar(my @all = $backend->requests), 1, 'POP-3 which reaches the backend';

# --- check 5: the algorithms announced, all of them asymmetric
good "alg $_->[0]", -key => $_->[1], -alg => $_->[0] for (map({ [$_, 'rsa'] } grep { /^[RP]S/ } @DPOP_ALGS), ['ES384', 'ec384'], ['ES512', 'ec521'],
    ['EdDSA', 'ed25519'], ['EdDSA', 'ed448'], ['Ed25519', 'ed25519'], ['Ed448', 'ed448']);

untouched $backend, 'POP-3', sub {
    # --- check 1, 2: a JWT
    my $proof = proof(GET => $aud, $t);
    my ($head, $payload, $signature) = split /\./, $proof;
    refuses_dpop(ask($t, $_->[1]), $_->[2] // 'dpop-malformed', "POP-3 $_->[0]") for (
        ['a word', 'x'], ['two parts', "$head.$payload"], ['two parts and a dot', "$head.$payload."], ['four parts', "$proof.$signature"],
        ['padding', "$head.$payload.$signature=="], ['base64 of the other alphabet', "$head.$payload." . ($signature =~ tr/-_/+\//r) . '+/'],
        ['no payload', "$head..$signature"], ['a blank inside', "$head. $payload.$signature"], ['JSON serialization', json_text({ payload => $payload })],
        ['all of it', json_text({ protected => $head, payload => $payload, signature => $signature }), qr/^dpop-(?:malformed|doubled)$/],
        ['the access token', "$t$t"], ['something behind it', "$proof x"], ['a scheme before it', "DPoP $proof"], ['quotes', "\"$proof\""],
    );
    refuses_dpop(ask($t, ''), qr/^dpop-(?:missing|malformed)$/, 'POP-3 an empty field');
    refuses_dpop(ask($t, $t), qr/^dpop-/, 'POP-3 the access token for a proof');
    bad 'dpop-malformed', "payload $_->[0]", -payload_text => $_->[1] for (
        ['an array', '[]'], ['a string', '"x"'], ['no JSON', '{'], ['with something behind', '{} x'],
        ['a member twice', sprintf '{"jti":"%s","htm":"GET","htm":"GET","htu":"%s","iat":%d,"ath":"%s"}', "twice$$", $aud, $now, b64(sha256($t))],
    );
    bad qr/^dpop-(?:malformed|header)$/, "header $_->[0]", -header_text => $_->[1] for (['no JSON', '{'], ['an array', '[]'], ['null', 'null']);

    # --- check 4 to 7: typ, alg, jwk
    my $jwk = json(jwk('dpop'));
    bad 'dpop-header', "typ $_", -header => { typ => $_ } for 'JWT', 'at+jwt', 'dpop', 'dpop+jwt ', 'dpop+jw', 'xdpop+jwt', '';
    bad 'dpop-header', 'no typ', -header => { typ => undef };
    bad 'dpop-header', 'typ a number', -header => { typ => 5 };
    bad 'dpop-header', "alg $_", -header => { alg => $_ } for qw(none NONE HS256 HS512 es256 ES256K RSA1_5 A128GCM), '';
    refuses_dpop(ask($t, proof(GET => $aud, $t, -none => 1, -header => { alg => 'none' })), qr/^dpop-(?:header|malformed)$/, 'POP-3 alg none and no signature');
    bad 'dpop-header', 'no alg', -header => { alg => undef };
    bad 'dpop-header', 'alg a list', -header => { alg => ['ES256'] };
    {
        my $file = File::Temp->new;
        print $file $jwk->{x};
        close $file;
        bad 'dpop-header', "HS256 with $_->[0]", -alg => 'HS256', -secret => $file->filename, -header => { jwk => $_->[1] }
            for ['the public key', $jwk], ['an oct key', { kty => 'oct', k => $jwk->{x} }];
    }
    bad 'dpop-header', 'no jwk', -header => { jwk => undef };
    bad 'dpop-header', "jwk $_->[0]", -header => { jwk => $_->[1] } for (
        ['a string', json_text($jwk)], ['a list', [$jwk]], ['empty', {}], ['a key set', { keys => [$jwk] }], ['private', json(jwk('dpop', '--private'))],
        ['without kty', { map { $_ => $jwk->{$_} } qw(crv x y) }], ['without y', { map { $_ => $jwk->{$_} } qw(kty crv x) }], ['of another kty', { %$jwk, kty => 'RSA' }],
        ['of another curve', { %$jwk, crv => 'P-384' }], ['not on the curve', { %$jwk, y => $jwk->{x} }], ['of another algorithm', { %$jwk, alg => 'ES384' }],
        ['for encryption', { %$jwk, use => 'enc' }], ['whose key_ops forbid it', { %$jwk, key_ops => ['encrypt'] }],
        ['symmetric', { kty => 'oct', k => $jwk->{x} }], ['RSA for ES256', json(jwk('rsa'))], ['Ed25519 for ES256', json(jwk('ed25519'))], ['P-384 for ES256', json(jwk('ec384'))],
    );
    bad 'dpop-header', 'an RSA key of 1024 bits', -key => 'weak', -alg => 'RS256';
    bad 'dpop-header', 'P-384 for ES512', -key => 'ec384', -header => { alg => 'ES512' };
    bad 'dpop-header', 'Ed448 for Ed25519', -key => 'ed448', -header => { alg => 'Ed25519' };
    bad 'dpop-header', 'RSA private part', -key => 'rsa', -header => { jwk => json(jwk('rsa', '--private')) };
    bad 'dpop-header', "$_->[0] in the header", -header => { $_->[0] => $_->[1] } for (['crit', ['exp']], ['crit', []], ['b64', JSON::PP::false], ['jku', 'https://as.test/jwks'],
        ['x5u', 'https://as.test/x'], ['zip', 'DEF'], ['enc', 'A128GCM']);

    # --- check 6: the signature
    bad 'dpop-signature', 'a key that is not the one in the header', -header => { jwk => json(jwk('dpop_b')) };
    bad 'dpop-signature', 'an ECDSA signature in DER', -der => 1;
    bad 'dpop-signature', 'PS256 said, RS256 made', -key => 'rsa', -alg => 'RS256', -header => { alg => 'PS256' };
    refuses_dpop(ask($t, "$head." . b64('{' . substr(unb64($payload), 1) . ' ') . ".$signature"), 'dpop-signature', 'POP-3 a blank more in the payload');
    refuses_dpop(ask($t, b64(unb64($head) . ' ') . ".$payload.$signature"), 'dpop-signature', 'POP-3 a blank more in the header');
    refuses_dpop(ask($t, "$head.$payload." . b64("\0" x 64)), 'dpop-signature', 'POP-3 zeros for a signature');
    refuses_dpop(ask($t, "$head.$payload." . b64(unb64($signature) . "\0")), 'dpop-signature', 'POP-3 a byte more');

    # --- check 3: claims
    for my $claim (qw(jti htm htu)) {
        bad 'dpop-claims', "no $claim", $claim => undef;
        bad 'dpop-claims', "$claim $_->[0]", $claim => $_->[1] for ['a number', 5], ['null', \'null'], ['empty', ''], ['a list', ['GET']], ['an object', {}], ['true', \'true'];
    }
    bad 'dpop-claims', 'no iat', iat => undef;
    bad 'dpop-claims', "iat $_->[0]", iat => $_->[1] for ['a string', "$now"], ['null', \'null'], ['a list', [$now]], ['true', \'true'], ['a date', '2026-01-01T00:00:00Z'];
    bad 'dpop-claims', "ath $_->[0]", ath => $_->[1] for ['a number', 5], ['null', \'null'], ['a list', [b64(sha256($t))]];
    bad 'dpop-claims', "nonce $_->[0]", nonce => $_->[1] for ['a number', 5], ['a list', ['x']];
    bad 'dpop-claims', 'a jti of 1025 bytes', jti => sprintf '%01025d', $$;
    bad qr/^dpop-(?:malformed|claims)$/, 'NUL in jti', jti => \'"a\u0000b"';

    # --- check 8, 9: this request
    bad 'dpop-method', "htm $_", htm => $_ for qw(POST HEAD get Get GETS GE DELETE), ' GET', "GET\t";
    bad 'dpop-url', "htu $_", htu => $_ for ('http://mcp.test/mcp', 'https://other.test/mcp', 'https://mcp.test/', 'https://mcp.test', 'https://mcp.test/mcp/', 'https://mcp.test/mcpx',
        'https://mcp.test/mc', 'https://mcp.test/MCP', 'https://mcp.test/mcp/x', 'https://mcp.test/mcp%2F', 'https://mcp.test:8443/mcp', 'https://mcp.test:80/mcp', 'https://user@mcp.test/mcp',
        'https://mcp.test.evil.test/mcp', 'https://evil.test/mcp?https://mcp.test/mcp', 'https://evil.test/mcp#https://mcp.test/mcp', '/mcp', 'mcp.test/mcp', '//mcp.test/mcp', 'https:/mcp.test/mcp', 'GET',
        'https://mcp.test/mcp ', ' https://mcp.test/mcp', 'ftp://mcp.test/mcp', 'https://mcp.test/x/mcp', 'https://mcp.test//mcp', 'https://mcp.test/mcp;x', 'https://mcp.test\\mcp');

    # --- check 11: now
    bad 'dpop-time', "iat $_->[0]", iat => $_->[1] for ['330 s ago', $now - 330], ['a day ago', $now - 86400], ['in 400 s', now() + 400], ['tomorrow', $now + 86400];
    bad qr/^dpop-(?:time|claims)$/, "iat $_", iat => \$_ for '0.0', '-1.5', '1e300', '18446744073709551616', "-$now", "${now}000";

    # --- check 12: this token
    bad 'dpop-token', 'no ath', ath => undef;
    bad 'dpop-token', "ath $_->[0]", ath => $_->[1] for (['of another token', b64(sha256(bound(aud => $aud)))], ['of nothing', b64(sha256(''))], ['empty', ''], ['with padding', b64(sha256($t)) . '='],
        ['in hexadecimal digits', unpack('H*', sha256($t))], ['one bit off', b64(sha256($t) ^ ("\0" x 31 . "\4"))], ['half of it', b64(substr sha256($t), 0, 16)],
        ['with a byte more', b64(sha256($t) . "\0")], ['of the scheme and the token', b64(sha256("DPoP $t"))]);

    # --- check 12 b: the key of this token
    refuses_dpop(ask($t, proof(GET => $aud, $t, -key => $_)), 'dpop-key', "POP-3 a good proof of another key: $_") for qw(dpop_b rsa ed25519);
    refuses_dpop(ask($by{rsa}, proof(GET => $aud, $by{rsa})), 'dpop-key', 'POP-3 and the other way round');

    # --- size
    my $large = proof_of_size(8193, GET => $aud, $t);
    is length $large, 8193, 'POP-3 a proof of 8193 bytes';
    refuses_dpop(ask($t, $large), 'dpop-malformed', 'POP-3 is too long');
};

# --- what is not wrong
is_status(ask($t, proof_of_size(8192, GET => $aud, $t)), 200, 'POP-3 a proof of 8192 bytes is not too long');
good 'typ in capitals', -header => { typ => 'DPoP+JWT' };
good 'a jwk with more in it', -header => { jwk => { %{ json(jwk('dpop')) }, kid => 'mine', use => 'sig', alg => 'ES256', key_ops => ['verify'] } };
good 'a kid, which says nothing', -header => { kid => 'ec256' };
good 'iat 270 s ago', iat => now() - 270;
good 'iat in 270 s', iat => now() + 270;
good 'iat a fraction', iat => \(now() . '.5');
good 'a jti of 1024 bytes', jti => sprintf '%01024d', $$;
good 'other claims', exp => 5, nbf => 'x', aud => ['y'], sub => 'mallory';
good 'a nonce that nobody asked for', nonce => 'of-the-authorization-server';
good "htu $_", htu => $_ for ('https://mcp.test/mcp?a=b', 'https://mcp.test/mcp?', 'https://mcp.test/mcp#x', 'https://mcp.test/mcp?x=1#y', 'HTTPS://MCP.TEST/mcp', 'https://mcp.test:443/mcp',
    'https://mcp.test/%6Dcp', 'https://mcp.test/%6dc%70', 'https://mcp.test/./mcp', 'https://mcp.test/x/../mcp');
no_crash($mark);

done_testing;
