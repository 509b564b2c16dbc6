package MCP::Keys;
# Keys and key sets of one run, made before httpd starts. Private keys: DIR/NAME.pem, key sets: DIR/SET.json.
use strict;
use warnings FATAL => 'all';

# name => type. "stranger" keys are in no key set; "dpop" and "client" keys are those of clients.
our %TYPES = (
    rsa         => 'rsa2048', rsa_b       => 'rsa2048', rsa_c    => 'rsa2048', private => 'rsa2048',
    weak        => 'rsa1024', ec256       => 'p256',    ec256_b  => 'p256',    ec384   => 'p384',
    ec521       => 'p521',    ed25519     => 'ed25519', ed448    => 'ed448',   enc     => 'p256',
    nosign      => 'p256',    stranger    => 'rsa2048', stranger_ec => 'p256', tls     => 'p256',
    dpop        => 'p256',    dpop_b      => 'p256',    client_a => 'p256',    client_b => 'p256', client_c => 'p256',
);

# key set => members: [key, options of "mint jwk"] or JWK text.
our %SETS = (
    # The main issuer, https://as.test: every type, and members that must never verify anything.
    as => [
        [rsa => '--kid', 'rsa', '--use', 'sig'],        # no alg: RS and PS
        [ec256   => '--kid', 'ec256',   '--alg', 'ES256'],
        [ec384   => '--kid', 'ec384',   '--alg', 'ES384'],
        [ec521   => '--kid', 'ec521',   '--alg', 'ES512'],
        [ed25519 => '--kid', 'ed25519', '--alg', 'EdDSA'],
        [private => '--kid', 'private', '--alg', 'RS256', '--private'],
        [weak    => '--kid', 'weak',    '--alg', 'RS256'],
        [enc     => '--kid', 'enc',     '--use', 'enc'],
        '{"kty":"oct","kid":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"}',
        '{"kty":"RSA","kid":"broken","n":"!!","e":"AQAB"}',
        '{"kty":"EC","crv":"P-256","kid":7,"x":"AA","y":"AA"}',
        '{"kty":"unheard-of","kid":"new"}',
    ],
    # A second issuer, https://b.test, with the kid of the first and a key of its own.
    b => [[rsa_b => '--kid', 'rsa'], [ec256_b => '--kid', 'ec256']],
    # Files that keys/file.t changes.
    rotating => [[ec256 => '--kid', 'one']], 'rotating-default' => [[ec256 => '--kid', 'one']],
);

sub run {
    my @cmd = @_;
    open my $fh, '-|', @cmd or die "$cmd[0]: $!";
    binmode $fh;
    local $/;
    my $out = <$fh>;
    close $fh or die "@cmd[0, 1] failed\n";
    return $out;
}

sub jwk {
    my ($mint, $dir, $key, @opt) = @_;
    my $out = run($mint, 'jwk', "$dir/$key.pem", @opt);
    chomp $out;
    return $out;
}

sub jwks {
    my ($mint, $dir, @members) = @_;
    return run($mint, 'jwks', map { ref $_ ? jwk($mint, $dir, @$_) : $_ } @members);
}

# In place with one step: httpd may read at any time.
sub write_file {
    my ($name, $data) = @_;
    open my $fh, '>', "$name.new" or die "$name.new: $!";
    binmode $fh;
    print $fh $data;
    close $fh or die "$name.new: $!";
    rename "$name.new", $name or die "$name: $!";
}

sub make {
    my ($mint, $dir) = @_;
    return if -e "$dir/done";
    mkdir $dir;
    chmod 0755, $dir;
    run($mint, 'keygen', $TYPES{$_}, "$dir/$_.pem") for sort keys %TYPES;
    write_file("$dir/$_.json", jwks($mint, $dir, @{ $SETS{$_} })) for sort keys %SETS;
    for (['good', 'localhost'], ['wrong-name', 'other.test'], ['expired', 'localhost', '--expired']) {
        my ($name, $host, @more) = @$_;
        write_file("$dir/cert-$name.pem", run($mint, 'cert', "$dir/tls.pem", '--host', $host, @more));
    }
    # Certificates of clients; the servers have the first two.
    my %client = map { $_ => run($mint, 'cert', "$dir/$_.pem", '--host', "$_.test") } qw(client_a client_b client_c);
    write_file("$dir/cert-$_.pem", $client{$_}) for sort keys %client;
    write_file("$dir/clients.pem", "$client{client_a}$client{client_b}");
    # Of the client that asks about tokens: whatever needs encoding in a form, and a line end that is none of it.
    write_file("$dir/client-secret", "p%40s s:+&\xc3\xa9\n");
    chmod 0600, "$dir/client-secret";
    write_file("$dir/done", '');
}

1;
