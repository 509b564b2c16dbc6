package MCP::Proof;
# Tokens that belong to a key, and DPoP proofs (RFC 9449). Keys are those of MCP::Keys; the one that is meant unless said is "dpop".
#
#   my $t = bound(aud => 'https://mcp.test/mcp');                             # a token with cnf.jkt; -holder NAME: of another key
#   my $p = proof(GET => 'https://mcp.test/mcp', $t, jti => 'again', -key => 'dpop_b');
#   my $r = http(bound => GET => '/mcp', dpop_headers($t, $p));
#   my $r = dpop(bound => GET => '/mcp', $t);                                 # the same; options: url, proof, more of http
#   refuses_dpop($r, 'dpop-time', 'POP-3 an old proof');
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256);
use Exporter 'import';
use MCP::Test;

our @EXPORT = qw(@DPOP_ALGS thumbprint certificate_thumbprint bound proof proof_of_size dpop dpop_headers refuses_dpop schemes reason);

# What the module announces, in its order.
our @DPOP_ALGS = qw(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 Ed448);

# RFC 7638: the members that make the key, in the order of their names.
my (%jwks, %thumbprints);
sub public_jwk { my $key = shift; json($jwks{$key} //= jwk($key)) }

sub thumbprint {
    my $key = shift;
    return $thumbprints{$key} //= do {
        my $jwk = public_jwk($key);
        my @members = @{ { RSA => [qw(e kty n)], EC => [qw(crv kty x y)], OKP => [qw(crv kty x)] }->{ $jwk->{kty} } };
        b64(sha256('{' . join(',', map { "\"$_\":\"$jwk->{$_}\"" } @members) . '}'));
    };
}

# RFC 8705 section 3.1, of a PEM file.
sub certificate_thumbprint {
    my ($base64) = slurp(shift) =~ /-----BEGIN CERTIFICATE-----(.*?)-----END/s or die "no certificate\n";
    return b64(sha256(MIME::Base64::decode_base64($base64)));
}

# A token of MCP::Test with cnf.jkt; a cnf that is given stands as it is.
sub bound {
    my %a = @_;
    my $holder = delete $a{-holder} // 'dpop';
    return token(cnf => { jkt => thumbprint($holder) }, %a);
}

my $serial = 0;
my %ALG = (rsa => 'RS256', rsa_b => 'RS256', weak => 'RS256', ec384 => 'ES384', ec521 => 'ES512', ed25519 => 'EdDSA', ed448 => 'EdDSA');

# A good proof but for what is said: claims as those of token; -key, -alg, -header {…} (merged; undef removes), -header_text,
# -payload_text, -none, -der, -secret FILE as there.
sub proof {
    my ($method, $url, $token, %a) = @_;
    my %opt = map { $_ => delete $a{$_} } grep { /^-/ } keys %a;
    my $key = $opt{-key} // 'dpop';
    my $alg = $opt{-alg} // $ALG{$key} // 'ES256';
    my $text = $opt{-header_text} // do {
        my %h = (typ => 'dpop+jwt', alg => $alg, jwk => public_jwk($key), %{ $opt{-header} || {} });
        delete $h{$_} for grep { !defined $h{$_} } keys %h;
        json_text(\%h);
    };
    my %c = (jti => join('-', 'proof', $$, ++$serial, now()), htm => $method, htu => $url, iat => now(), ath => b64(sha256($token)), %a);
    delete $c{$_} for grep { !defined $c{$_} } keys %c;
    my $payload = $opt{-payload_text} // '{' . join(',', map { json_text($_) . ':' . (ref $c{$_} eq 'SCALAR' ? ${ $c{$_} } : json_text($c{$_})) } sort keys %c) . '}';
    my @how = $opt{-none} ? '--none' : $opt{-secret} ? ('--secret-file', $opt{-secret}) : made("$key.pem");
    push @how, '--der' if $opt{-der};
    return MCP::Test::remember(mint('sign', @how, '--alg', $alg, '--header', $text, '--payload', $payload));
}

# One of exactly so many bytes.
sub proof_of_size {
    my ($bytes, $method, $url, $token) = @_;
    for my $odd (0 .. 8) {
        my %header = (-header => { x => 'x' x $odd });
        my $pad = int(($bytes - length proof($method, $url, $token, %header, pad => '')) * 3 / 4);
        for ($pad - 2 .. $pad + 2) {
            my $proof = proof($method, $url, $token, %header, pad => 'x' x $_);
            return $proof if length $proof == $bytes;
        }
    }
    die "no proof of $bytes bytes\n";
}

# For http: a token by the scheme DPoP, and the proofs in a line each.
sub dpop_headers { my ($token, @proofs) = @_; (headers => [Authorization => "DPoP $token", map { (DPoP => $_) } @proofs]) }

# A request with a token and a fresh proof for https://mcp.test and the path of its target. Options: url, proof {…} (as proof
# takes it), headers (further ones), what http takes.
sub dpop {
    my ($where, $method, $target, $token, %opt) = @_;
    my $url = delete $opt{url} // 'https://mcp.test' . $target =~ s/\?.*//sr;
    my %headers = dpop_headers($token, proof($method, $url, $token, %{ delete $opt{proof} || {} }));
    my @more = @{ delete $opt{headers} || [] };
    return http($where, $method => $target, headers => [@{ $headers{headers} }, @more], %opt);
}

# The schemes of the challenges, in order: "Bearer DPoP", "DPoP", "".
sub schemes { join ' ', map { /^(\S+)/ } headers($_[0], 'WWW-Authenticate') }

# Why, as the environment has it; the virtual host shows it as "decision|reason|…".
sub reason { (split /\|/, header($_[0], 'X-Env') // '', -1)[1] // '' }

# A 401 for this reason (a text or a regular expression), the error in the challenge of DPoP alone. The response.
sub refuses_dpop {
    my ($r, $reason, $name, %opt) = @_;
    my $error = $opt{error} // ($reason =~ /^dpop-(?!key|nonce)/ || ref $reason ? 'invalid_dpop_proof' : $reason eq 'dpop-nonce' ? 'use_dpop_nonce' : 'invalid_token');
    my (@wrong, %dpop, %bearer);
    eval { %dpop = challenge($r, 'DPoP'); %bearer = challenge($r, 'Bearer'); 1 } or push @wrong, "challenge: $@";
    push @wrong, "status $r->{code}" if $r->{code} != 401;
    push @wrong, 'reason ' . reason($r) unless ref $reason ? reason($r) =~ $reason : reason($r) eq $reason;
    push @wrong, 'error ' . ($dpop{error} // 'missing') if ($dpop{error} // '') ne $error;
    push @wrong, "no $_" for grep { !length($dpop{$_} // '') } qw(error_description resource_metadata algs);
    push @wrong, "$_ with Bearer" for grep { /^error|^acr_values|^max_age/ } sort keys %bearer;
    push @wrong, 'schemes ' . schemes($r) if schemes($r) ne ($opt{schemes} // 'Bearer DPoP');
    my $body = eval { json($r->{body}) };
    push @wrong, "body $r->{body}" if !($opt{head} || ref $body eq 'HASH' && ($body->{error} // '') eq $error);
    push @wrong, 'Cache-Control ' . (header($r, 'Cache-Control') // 'missing') if (header($r, 'Cache-Control') // '') ne 'no-store';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
    return $r;
}

1;
