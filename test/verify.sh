#!/bin/sh
# mcp-oauth-verify: each reason for a refusal, wrong use, where keys come from, and published vectors.
# From the environment: MCP_VERIFY, the program (default: mcp-oauth-verify of the working directory), MCP_MINT, PERL, and MCP_VECTORS,
# where third-party vectors are: what is not there is not run.
set -u
MCP_VERIFY=${MCP_VERIFY:-$PWD/mcp-oauth-verify}
for f in "$MCP_VERIFY" "${MCP_MINT:-}"; do
    [ -x "$f" ] || { echo "not built: ${f:-MCP_MINT}"; exit 99; }
done
perl=${PERL:-perl}
$perl -MJSON::PP -MMIME::Base64 -MIO::Socket::INET -e 1 || { echo "SKIP: perl or its JSON::PP is missing"; exit 77; }
MCP_RUN=$PWD/test/run-verify
rm -rf "$MCP_RUN"
mkdir -p "$MCP_RUN" || exit 99
export MCP_VERIFY MCP_MINT MCP_RUN
exec $perl -x "$0"

#!perl
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();

my ($verify, $mint, $dir) = @ENV{qw(MCP_VERIFY MCP_MINT MCP_RUN)};
my $vectors = $ENV{MCP_VECTORS} || (($ENV{srcdir} || '.') . '/../shared/vectors');
my ($n, $bad) = (0, 0);
my @steps = qw(jws payload issuer algorithm type key signature kind times audience claims binding);
my $json = JSON::PP->new->canonical;
my $NOW = 1_700_000_000;
my $ISS = 'https://as.example.com';
my $AUD = 'https://mcp.example.com/mcp';

sub ok {
    my ($good, $name, @why) = @_;
    $n++;
    print $good ? '' : 'not ', "ok $n - $name\n";
    return if $good;
    print map { s/^/# /mgr . "\n" } grep { defined } @why;
    $bad++;
}

sub slurp { open my $f, '<:raw', $_[0] or die "$_[0]: $!"; local $/; my $text = <$f>; defined $text ? $text : '' }
sub spew { open my $f, '>:raw', $_[0] or die "$_[0]: $!"; print $f $_[1]; close $f or die; $_[0] }
sub b64 { my $t = MIME::Base64::encode($_[0], ''); $t =~ tr{+/}{-_}; $t =~ s/=+$//; $t }

sub mint {
    my @args = @_;
    utf8::downgrade($_) for @args;    # bytes, whatever the JSON module makes of them: an argument is what perl has in memory
    open my $pipe, '-|', $mint, @args or die "$mint: $!";
    my $text = join '', <$pipe>;
    close $pipe or die "mint @_ failed";
    return $text =~ s/\n\z//r;
}

# --- running it

# Runs the program with the text on standard input; what must be true of any answer is checked here.
my (%last, $said_wrong);
sub run {
    my ($text, @args) = @_;
    spew("$dir/in", $text);
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) {
        open STDIN, '<', "$dir/in";
        open STDOUT, '>', "$dir/out";
        open STDERR, '>', "$dir/err";
        exec $verify, @args or POSIX::_exit(126);
    }
    waitpid $pid, 0;
    %last = (status => $? & 127 ? 'signal ' . ($? & 127) : $? >> 8, out => slurp("$dir/out"), err => slurp("$dir/err"));
    $said_wrong = wrong($text, grep { $_ eq '--signature-only' } @args);
    return $last{report};
}

# What is wrong with the answer as such, whatever the token.
sub wrong {
    my ($text, $alone) = @_;
    for my $secret ($text =~ /([A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)/g, $text =~ /\.([A-Za-z0-9_-]{16,})\s*$/) {
        return 'the token is repeated' if index("$last{out}$last{err}", $secret) >= 0;
    }
    if ($last{status} eq '2') {
        return 'standard output is not empty' if length $last{out};
        return $last{err} =~ /^mcp-oauth-verify: \S/ ? undef : 'no message';
    }
    return "status $last{status}: $last{err}" unless $last{status} =~ /^[01]$/;
    return "standard error: $last{err}" if length $last{err};
    return 'bytes that are no text' if $last{out} =~ /[^\n\x20-\x7e]/;
    my $report = $last{report} = eval { $json->decode($last{out}) } or return "no JSON: $@";
    return 'members: ' . join ' ', sort keys %$report
        if join(' ', sort keys %$report) !~ /^checks claims header reason valid verified$/;
    return 'valid and reason and status differ'
        if !!$report->{valid} ne ($report->{reason} eq 'ok') || !!$report->{valid} ne ($last{status} eq '0');
    return wrong_checks($report, $alone);
}

sub wrong_checks {
    my ($report, $alone) = @_;
    my @names = map { $_->{check} } @{$report->{checks}};
    return "checks: @names" unless "@names" eq "@steps" || "@names" eq "@steps scope";
    my $outcomes = join '', map { substr $_->{outcome}, 0, 1 } @{$report->{checks}};
    my $like = $report->{valid} ? qr/^p+$/ : qr/^p*fs*$/;
    $like = $report->{valid} ? qr/^psss?[ps]spps+$/ : qr/^(?:fs+|psss?[pfs]s[fps][fs]s+)$/ if $alone;
    return "outcomes: $outcomes" if $outcomes !~ $like || $outcomes =~ /f.*f/;
    return 'verified is not what the signature says'
        if !!$report->{verified} ne (outcome($report, 'signature') eq 'passed');
    return undef;
}

sub check { my ($report, $name) = @_; (grep { $_->{check} eq $name } @{$report->{checks}})[0] || {} }
sub outcome { check(@_)->{outcome} || 'absent' }

# refused NAME, TOKEN, REASON, CHECK that fails, ARGUMENTS...
sub refused {
    my ($name, $text, $reason, $step, @args) = @_;
    my $report = run($text, @args);
    my $got = $report ? "$report->{reason} " . join ' ', map { $_->{check} } grep { $_->{outcome} eq 'failed' } @{$report->{checks}} : 'nothing';
    ok(!$said_wrong && $got eq "$reason $step" && check($report, $step)->{detail}, "$name: $reason at $step", $said_wrong, "got: $got", $last{err});
}

sub accepted {
    my ($name, $text, @args) = @_;
    my $report = run($text, @args);
    ok(!$said_wrong && $report->{valid}, $name, $said_wrong, $last{out}, $last{err});
}

sub misused {
    my ($name, $text, @args) = @_;
    run($text, @args);
    ok(!$said_wrong && $last{status} eq '2', "wrong use: $name", $said_wrong, "status $last{status}", $last{out});
}

# --- keys and tokens

my %type = (ec => 'p256', other => 'p256', rsa => 'rsa2048', weak => 'rsa1024', ed => 'ed25519');
mint('keygen', $type{$_}, "$dir/$_.key") for keys %type;
my %jwk = map { $_ => mint('jwk', "$dir/$_.key", '--kid', $_) } keys %type;
$jwk{enc} = mint('jwk', "$dir/ec.key", '--kid', 'enc', '--use', 'enc');
my $jwks = spew("$dir/jwks.json", mint('jwks', @jwk{qw(ec rsa weak ed enc)}));
my @base = ('--issuer', $ISS, '--audience', $AUD, '--now', $NOW);
my @args = (@base, '--jwks', $jwks);

# Members that are undef are left out.
sub object { my %o = @_; $json->encode({ map { $_ => $o{$_} } grep { defined $o{$_} } keys %o }) }
sub claims { object(iss => $ISS, aud => $AUD, exp => $NOW + 300, sub => 'alice', @_) }
sub header { object(alg => 'ES256', kid => 'ec', typ => 'at+jwt', @_) }
sub sign { my ($header, $payload, $key, $alg) = @_; mint('sign', "$dir/" . ($key || 'ec') . '.key', '--alg', $alg || 'ES256', '--header', $header, '--payload', $payload) }
sub token { sign(header(), claims(@_)) }
my $good = token();
my $signature = ($good =~ /([^.]+)$/)[0];

# --- what is accepted, and how it is read

my $report;
accepted('a good token on standard input', $good, @args);
$report = $last{report};
ok($report->{reason} eq 'ok' && $report->{verified} && $report->{header}{kid} eq 'ec' && $report->{claims}{sub} eq 'alice',
    'the report has its header and claims', $last{out});
ok(index($last{out}, $signature) < 0, 'and not its signature');
accepted('white space around it, and "Bearer " in front', " \r\n\tBearer  $good \n\n", @args);
accepted('the scheme in small letters (RFC 9110 section 11.1)', "bearer $good", @args);
accepted('a token in FILE', 'nothing', @args, spew("$dir/token", "$good\n"));
accepted('FILE first', '', "$dir/token", @args);
accepted('FILE behind --', '', @args, '--', "$dir/token");
accepted('- is standard input', $good, @args, '-');
accepted('options as --name=VALUE', $good, "--issuer=$ISS", "--audience=$AUD", "--now=$NOW", "--jwks=$jwks");
accepted('the key set as file:PATH', $good, @base, '--jwks', "file:$jwks");
accepted('one JWK alone', $good, @base, '--jwks', spew("$dir/one.jwk", "$jwk{ec}\n"));
ok(system("cat '$jwks' | \"\$MCP_VERIFY\" --signature-only --jwks /dev/stdin '$dir/token' >'$dir/out'") == 0, 'the key set by a pipe');
accepted('a token whose kid is not asked for, by each key that fits', sign(header(kid => undef), claims()), @args);
accepted("alg $_->[0]", sign(header(alg => $_->[0], kid => $_->[1]), claims(), $_->[1], $_->[0]), @args)
    for [RS256 => 'rsa'], [PS384 => 'rsa'], [EdDSA => 'ed'];
accepted('the last of several values counts', $good, '--issuer', 'https://no.example', @args);
my $long = token(pad => 'x' x 4096);
$long = token(pad => 'x' x (4096 + int((16384 - length $long) * 3 / 4) - 3));
accepted('a token of ' . length($long) . ' bytes', $long, @args);

# --- each reason of its own

refused('an empty input', '', 'token-malformed', 'jws', @args);
refused('blanks alone', " \n", 'token-malformed', 'jws', @args);
refused('"Bearer" and nothing else', 'Bearer ', 'token-malformed', 'jws', @args);
refused('an opaque token', 'opaque-0123456789abcdef', 'token-malformed', 'jws', @args);
refused('two parts', $good =~ s/\.[^.]*$//r, 'token-malformed', 'jws', @args);
ok($last{report}{claims}{sub} eq 'alice' && !$last{report}{verified}, 'what can be read of it is shown as not verified', $last{out});
refused('four parts', "$good.x", 'token-malformed', 'jws', @args);
refused('T12 padding', "$good=", 'token-malformed', 'jws', @args);
refused('two tokens', "$good $good", 'token-malformed', 'jws', @args);
refused('another scheme', "DPoP $good", 'token-malformed', 'jws', @args);
refused('"Bearer" without a blank', "Bearer$good", 'token-malformed', 'jws', @args);
refused('"Bearer " twice', "Bearer Bearer $good", 'token-malformed', 'jws', @args);
refused('quotes', "\"$good\"", 'token-malformed', 'jws', @args);
refused('a NUL byte', "$good\0", 'token-malformed', 'jws', @args);
refused('raw escape sequences', "\e[2J$good\x{9b}", 'token-malformed', 'jws', @args);
refused('16385 bytes', $good . 'A' x (16385 - length $good), 'token-too-long', 'jws', @args);
refused('2 MiB', 'A' x (2 << 20), 'token-too-long', 'jws', @args);
refused('2 MiB of blanks in front of it', ' ' x (2 << 20) . $good, 'token-too-long', 'jws', @args);
refused('T03 a header with a key', sign(header(jwk => {}), claims()), 'token-header', 'jws', @args);
ok(ref $last{report}{header}{jwk} eq 'HASH', 'that header is shown');
refused('T03 a header with jku', sign(header(jku => 'https://evil.example/'), claims()), 'token-header', 'jws', @args);
refused('a header with a member twice', sign('{"alg":"ES256","alg":"ES256"}', claims()), 'token-header', 'jws', @args);
ok(!defined $last{report}{header} && $last{report}{claims}{sub} eq 'alice', 'no reading of that header is shown');
refused('a header that is an array', sign('["ES256"]', claims()), 'token-header', 'jws', @args);
refused('crit', sign(header(crit => ['exp']), claims()), 'token-critical', 'jws', @args);
refused('T01 alg none', mint('sign', '--none', '--header', header(alg => 'none'), '--payload', claims()) . 'AA', 'token-algorithm', 'jws', @args);
refused('T02 HS256', mint('sign', '--secret-file', $jwks, '--alg', 'HS256', '--header', header(alg => 'HS256'), '--payload', claims()), 'token-algorithm', 'jws', @args);
refused('a payload that is no object', sign(header(), '[1]'), 'token-claims', 'payload', @args);
refused('a claim twice', sign(header(), claims() =~ s/^\{/{"iss":"$ISS",/r), 'token-claims', 'payload', @args);
ok(!defined $last{report}{claims}, 'no reading of these claims is shown');
refused('\u0000 in a claim', sign(header(), claims() =~ s/alice/a\\u0000b/r), 'token-claims', 'payload', @args);
refused('no iss', token(iss => undef), 'token-claims', 'payload', @args);
refused('another issuer', token(iss => "$ISS/"), 'token-issuer', 'issuer', @args);
refused('an algorithm that was not asked for', $good, 'token-algorithm', 'algorithm', @args, '--algorithms', 'RS256, PS256', '--algorithms=EdDSA');
accepted('an algorithm that was', $good, @args, '--algorithms', 'RS256 ES256');
refused('Ed25519, which has to be asked for', sign(header(alg => 'Ed25519', kid => 'ed'), claims(), 'ed', 'EdDSA'), 'token-algorithm', 'algorithm', @args);
accepted('Ed25519 when it is', sign(header(alg => 'Ed25519', kid => 'ed'), claims(), 'ed', 'EdDSA'), @args, '--algorithms', 'Ed25519');
refused('another typ', sign(header(typ => 'dpop+jwt'), claims()), 'token-type', 'type', @args);
refused('a typ that was not asked for', sign(header(typ => 'JWT'), claims()), 'token-type', 'type', @args, '--type', 'at+jwt');
accepted('a typ that was', sign(header(typ => 'application/AT+jwt'), claims(client_id => 'c', jti => 'j', iat => $NOW + 0)), @args, '--type', 'at+jwt');
accepted('one of two types', sign(header(typ => 'JWT'), claims()), @args, '--type', 'at+jwt', '--type', 'JWT');
refused('T22 at+jwt alone without jti', token(client_id => 'c', iat => $NOW + 0), 'token-claims', 'claims', @args, '--type', 'at+jwt');
for (['no kid of the set' => 'gone', qr/no usable key with/], ['a key for another algorithm' => 'rsa', qr/not for the token's algorithm/],
    ['a key that is too weak' => 'weak', qr/too weak/], ['a key for encryption' => 'enc', qr/not for/]) {
    refused($_->[0], sign(header(kid => $_->[1]), claims()), 'token-key-unknown', 'key', @args);
    ok(check($last{report}, 'key')->{detail} =~ $_->[2], 'which the detail tells', $last{out});
}
refused('no kid, and no key that fits', sign(header(kid => undef), claims()), 'token-key-unknown', 'key',
    @base, '--jwks', spew("$dir/ed.jwk", $jwk{ed}));
refused('a signature of another key', sign(header(), claims(), 'other'), 'token-signature', 'signature', @args);
ok(!$last{report}{verified} && $last{report}{claims}{sub} eq 'alice', 'its claims are shown as not verified');
refused('T08 a signature in DER', mint('sign', "$dir/ec.key", '--alg', 'ES256', '--der', '--header', header(), '--payload', claims()), 'token-signature', 'signature', @args);
refused('T30 an ID token', token(at_hash => 'x'), 'token-type', 'kind', @args);
refused('no exp', token(exp => undef), 'token-claims', 'times', @args);
refused('exp as text', token(exp => '1700000300'), 'token-claims', 'times', @args);
refused('expired', token(exp => $NOW - 60), 'token-expired', 'times', @args);
ok($last{report}{verified}, 'an expired token is verified all the same');
accepted('expired within the skew', token(exp => $NOW - 59), @args);
refused('expired without skew', token(exp => $NOW + 0), 'token-expired', 'times', @args, '--skew', '0');
accepted('--now with a fraction', token(exp => $NOW + 1), @args, '--skew=0', '--now', "$NOW.999");
refused('the fraction counts', token(exp => $NOW + 1), 'token-expired', 'times', @args, '--skew=0', '--now', $NOW + 1 . '.0');
refused('expired by the clock of this machine', $good, 'token-expired', 'times', @args[0 .. 3], '--jwks', $jwks);
accepted('good by the clock of this machine', token(exp => time + 300), @args[0 .. 3], '--jwks', $jwks);
refused('nbf to come', token(nbf => $NOW + 61), 'token-not-yet-valid', 'times', @args);
refused('iat to come', token(iat => $NOW + 61), 'token-not-yet-valid', 'times', @args);
refused('another audience', token(aud => 'https://other.example/'), 'token-audience', 'audience', @args);
accepted('one of several audiences', token(aud => ['x', 'https://other.example/']), @args, '--audience', 'https://other.example/');
refused('an audience above', token(aud => 'https://mcp.example.com'), 'token-audience', 'audience', @args, '--audience-match', 'exact');
accepted('the same with --audience-match hierarchical', token(aud => 'https://mcp.example.com'), @args, '--audience-match', 'hierarchical');
refused('sub as a number', token(sub => 7), 'token-claims', 'claims', @args);
refused('cnf that nobody could check', token(cnf => { kid => 'x' }), 'token-bound', 'binding', @args);
my $thumb = b64('x' x 32);
for (['a DPoP key' => { jkt => $thumb }, qr/DPoP/], ['a certificate' => { 'x5t#S256' => $thumb }, qr/certificate/],
    ['both' => { jkt => $thumb, 'x5t#S256' => $thumb }, qr/DPoP.*certificate/]) {
    accepted("a token bound to $_->[0]", token(cnf => $_->[1]), @args);
    ok((check($last{report}, 'binding')->{detail} || '') =~ $_->[2], 'its detail tells what has to come with it', $last{out});
}
accepted('scopes that are there', token(scope => 'a b c'), @args, '--scope', 'a,c', '--scope', 'b');
ok(outcome($last{report}, 'scope') eq 'passed', 'are a check of their own');
refused('one scope of two', token(scope => 'a ab'), 'scope-missing', 'scope', @args, '--scope', 'a b');
ok($last{report}{verified}, 'such a token is verified');
refused('no scope at all', $good, 'scope-missing', 'scope', @args, '--scope', 'a');
refused('scopes of an expired token', token(scope => 'a', exp => 1), 'token-expired', 'times', @args, '--scope', 'a');
ok(outcome($last{report}, 'scope') eq 'skipped', 'are not looked at');

# --- what is printed of hostile tokens

accepted('claims full of control characters', sign(header(), claims() =~ s/alice/\\u001b[2J\\n\x7f\xc2\x9b31m\xe2\x80\xae\\"/r), @args);
ok($last{report}{claims}{sub} eq "\e[2J\n\x7f\x{9b}31m\x{202e}\"", 'are printed escaped, and mean what they did');
accepted('16 levels', sign(header(), claims() =~ s/\}$/',"d":' . '[' x 15 . ']' x 15 . '}'/er), @args);
refused('17 levels', sign(header(), claims() =~ s/\}$/',"d":' . '[' x 16 . ']' x 16 . '}'/er), 'token-claims', 'payload', @args);
refused('bytes that are no UTF-8', sign(header(), claims() =~ s/alice/\xff/r), 'token-claims', 'payload', @args);
accepted('a number beyond 64 bits', sign(header(), claims() =~ s/"alice"/"a","n":123456789012345678901234567890/r), @args);

# --- keys that cannot be had

sub no_keys {
    my ($name, $like, @more) = @_;
    refused($name, $good, 'keys-unavailable', 'key', @base, @more);
    my $detail = check($last{report} || {}, 'key')->{detail} || '';
    ok($detail =~ $like, 'the detail tells the cause', $detail);
}
no_keys('a file that is not there', qr/No such file/, '--jwks', "$dir/gone");
no_keys('a directory', qr/directory/, '--jwks', $dir);
no_keys('an empty file', qr/JSON/, '--jwks', spew("$dir/empty", ''));
no_keys('a file over 1 MiB', qr/too large/, '--jwks', spew("$dir/large", '{"keys":[]}' . ' ' x (1 << 20)));
no_keys('an object without keys', qr/no array of keys/, '--jwks', spew("$dir/none", '{}'));
no_keys('a set without a usable key', qr/no usable key/, '--jwks', spew("$dir/useless", mint('jwks', $jwk{weak})));
no_keys('one JWK that is not usable', qr/no usable key/, '--jwks', spew("$dir/weak.jwk", $jwk{weak}));
refused('keys do not matter to a token that is refused before', token(iss => 'x'), 'token-issuer', 'issuer', @base, '--jwks', "$dir/gone");

# --- discovery and URLs

# Answers GET by path, one request per connection; each path asked for is written to a file.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "listen: $!";
my $port = $listener->sockport;
my $as = "http://127.0.0.1:$port";
spew("$dir/asked", '');
my %page = (
    '/.well-known/oauth-authorization-server' => $json->encode({ issuer => $as, jwks_uri => "$as/jwks" }),
    '/.well-known/openid-configuration/oidc' => $json->encode({ issuer => "$as/oidc", jwks_uri => "$as/jwks" }),
    '/.well-known/oauth-authorization-server/liar' => $json->encode({ issuer => $as, jwks_uri => "$as/jwks" }),
    '/.well-known/oauth-authorization-server/keyless' => $json->encode({ issuer => "$as/keyless", jwks_uri => "$as/gone" }),
    '/jwks' => slurp($jwks),
);
sub serve {
    my ($listener) = @_;
    while (my $c = $listener->accept) {
        my $line = <$c> || '';
        while (defined(my $h = <$c>)) { last if $h =~ /^\r?$/ }
        my ($path) = $line =~ m{^GET (\S+) };
        open my $f, '>>', "$dir/asked" or die "asked: $!";
        print $f "$path\n";
        close $f;
        select undef, undef, undef, 20 if $path eq '/slow';
        my $body = $page{$path};
        print $c defined $body ? "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" : "HTTP/1.1 404 Not Found\r\n",
            'Content-Length: ', length($body || ''), "\r\nConnection: close\r\n\r\n", $body || '';
        close $c;
    }
}
my @children;
sub start {
    my ($listener) = @_;
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) { alarm 300; local $SIG{PIPE} = 'IGNORE'; eval { serve($listener) }; POSIX::_exit(0) }
    push @children, $pid;
}
END { my $status = $?; if (@children) { kill 'KILL', @children; waitpid $_, 0 for @children } $? = $status }
start($listener);
sub asked { my $text = slurp("$dir/asked"); spew("$dir/asked", ''); $text =~ tr/\n/ /r }

sub at { my ($issuer) = @_; ('--issuer', $issuer, '--audience', $AUD, '--now', $NOW) }
accepted('keys that are discovered (RFC 8414)', token(iss => $as), at($as));
ok(asked() eq '/.well-known/oauth-authorization-server /jwks ', 'by its metadata');
accepted('keys that are discovered (OpenID Connect)', token(iss => "$as/oidc"), at("$as/oidc"));
asked();
accepted('a key set by its URL', $good, @base, '--jwks', "$as/jwks");
ok(asked() eq '/jwks ', 'nothing else is asked for');
refused('a signature of another key, keys discovered', sign(header(), claims(iss => $as), 'other'), 'token-signature', 'signature', at($as));
asked();
refused('a token that says it is of another issuer', $good, 'token-issuer', 'issuer', at($as));
refused('an opaque token', 'opaque', 'token-malformed', 'jws', at($as));
ok(asked() eq '', 'nobody is asked because of such tokens');
for (['metadata of another issuer' => "$as/liar", qr/issuer/], ['a jwks_uri that is not there' => "$as/keyless", qr/404/],
    ['no metadata' => "$as/nothing", qr/404/], ['an issuer that is no URL' => 'joe', qr/not a URL/],
    ['http to a host that is not loopback' => 'http://as.example.com', qr/http/]) {
    refused($_->[0], token(iss => $_->[1]), 'keys-unavailable', 'key', at($_->[1]));
    my $detail = check($last{report} || {}, 'key')->{detail} || '';
    ok($detail =~ $_->[2], 'the detail tells the cause', $detail);
}
no_keys('a key set that is not there', qr/404/, '--jwks', "$as/gone");
no_keys('a URL that is no UTF-8', qr/cannot be shown/, '--jwks', "ftp://127.0.0.1/\xff");
no_keys('a key set by a scheme that is not spoken', qr/./, '--jwks', "ftp://127.0.0.1:$port/jwks");
no_keys('plain http to a host that is not loopback', qr/http/, '--jwks', "http://0.0.0.0:$port/jwks");
accepted('the same with --allow-http', $good, @base, '--jwks', "http://0.0.0.0:$port/jwks", '--allow-http');
my $begin = time;
no_keys('a server that does not answer', qr/slow/, '--jwks', "$as/slow", '--timeout', '0.5');
ok(time - $begin < 10, 'is not waited for longer than --timeout says');

# --- TLS

if (eval { require IO::Socket::SSL; 1 }) {
    my $pem = spew("$dir/cert.pem", mint('cert', "$dir/rsa.key", '--host', '127.0.0.1'));
    my $tls = IO::Socket::SSL->new(LocalAddr => '127.0.0.1', Listen => 16, SSL_server => 1, SSL_cert_file => $pem, SSL_key_file => "$dir/rsa.key")
        or die 'TLS: ' . IO::Socket::SSL::errstr();
    # A client that does not trust the certificate makes accept fail once.
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) { alarm 300; local $SIG{PIPE} = 'IGNORE'; for (1 .. 20) { eval { serve($tls) } } POSIX::_exit(0) }
    push @children, $pid;
    my $url = 'https://127.0.0.1:' . $tls->sockport . '/jwks';
    no_keys('a certificate that nobody trusts', qr/certificate/i, '--jwks', $url);
    accepted('the same with --ca-file', $good, @base, '--jwks', $url, '--ca-file', $pem);
}
else { print "# not there: IO::Socket::SSL\n" }

# --- the signature alone

my @alone = ('--signature-only', '--jwks', $jwks);
accepted('--signature-only: an expired token of another issuer', token(exp => 1, iss => 'x', crit => 1), @alone);
ok($last{report}{verified} && $last{report}{claims}{iss} eq 'x', 'its claims are shown');
accepted('--signature-only: a payload that is no JSON', sign(header(), 'hello'), @alone);
ok(!defined $last{report}{claims}, 'its claims are null');
accepted('--signature-only: a payload that is no object', sign(header(), '[1]'), @alone);
ok(!defined $last{report}{claims}, 'its claims are null');
accepted('--signature-only: no payload', sign(header(), ''), @alone);
accepted('--signature-only: another typ, and a key in the header', sign(header(typ => 'dpop+jwt', jwk => {}), claims()), @alone);
accepted('--signature-only: Ed25519', sign(header(alg => 'Ed25519', kid => 'ed'), claims(), 'ed', 'EdDSA'), @alone);
refused('--signature-only: an algorithm that was not asked for', $good, 'token-algorithm', 'algorithm', @alone, '--algorithms', 'RS256');
accepted('--signature-only: one that was', $good, @alone, '--algorithms', 'ES256');
refused('--signature-only: another key', sign(header(), claims(), 'other'), 'token-signature', 'signature', @alone);
refused('--signature-only: an unknown key', sign(header(kid => 'gone'), claims()), 'token-key-unknown', 'key', @alone);
refused('--signature-only: a key for another algorithm', sign(header(kid => 'rsa'), claims()), 'token-key-unknown', 'key', @alone);
refused('--signature-only: no keys', $good, 'keys-unavailable', 'key', '--signature-only', '--jwks', "$dir/gone");
refused('--signature-only: crit', sign(header(crit => ['b64']), claims()), 'token-critical', 'jws', @alone);
refused('--signature-only: alg none', mint('sign', '--none', '--header', header(alg => 'none'), '--payload', claims()) . 'AA', 'token-algorithm', 'jws', @alone);
refused('--signature-only: no signature', $good =~ s/[^.]+$//r, 'token-malformed', 'jws', @alone);
my @crowd = map { mint('keygen', 'p256', "$dir/crowd"); mint('jwk', "$dir/crowd") } 1 .. 12;
accepted('--signature-only: without a kid the last of 13 keys is tried', sign('{"alg":"ES256"}', 'x'), '--signature-only', '--jwks',
    spew("$dir/crowd.json", mint('jwks', @crowd, mint('jwk', "$dir/ec.key"))));
accepted('--signature-only: scopes are not looked at', $good, @alone, '--scope', 'a', '--issuer', 'x');
ok(outcome($last{report}, 'scope') eq 'skipped', 'and not said to be there');

# --- wrong use

misused('nothing', $good);
misused('no --audience', $good, '--issuer', $ISS, '--jwks', $jwks);
misused('no --issuer', $good, '--audience', $AUD, '--jwks', $jwks);
misused('--signature-only without --jwks', $good, '--signature-only', '--issuer', $ISS);
misused('an unknown option', $good, @args, '--frobnicate');
ok($last{err} =~ /--frobnicate/, 'its name is told');
misused('the beginning of an option', $good, @args, '--sign');
misused('a short option', $good, @args, '-x');
misused('an option without its value', $good, @args, '--scope');
misused("an empty value of $_", $good, @args, "--$_=") for qw(issuer audience jwks scope algorithms type now skew ca-file timeout audience-match);
misused('a list with nothing in it', $good, @args, '--scope', ' , ');
misused('a value for a flag', $good, @args, '--signature-only=yes');
misused("--algorithms $_", $good, @args, '--algorithms', $_) for 'none', 'HS256', 'RS256,HS256', 'es256', 'RS';
misused("--type $_", $good, @args, '--type', $_) for 'ID', 'at', 'jwt,x';
misused('--scope with a quote', $good, @args, '--scope', '"a"');
misused("--now $_", $good, @args, '--now', $_) for 'x', '-1', '1e9', '0x10', '1.', '.5', '1.5.', '1 ', '253402300800', '9' x 40;
misused("--skew $_", $good, @args, '--skew', $_) for '-1', '601', '60s', 'nan';
misused("--timeout $_", $good, @args, '--timeout', $_) for '0', '0.0000001', '301', 'x';
misused('--audience-match Hierarchical', $good, @args, '--audience-match', 'Hierarchical');
misused('two files', $good, @args, "$dir/token", "$dir/token");
misused('a FILE that is not there', $good, @args, "$dir/gone");
misused('a FILE that is a directory', $good, @args, $dir);
misused('the token on the command line', $good, @args, $good);
misused('the token as the value of an option', $good, @args, '--jwks', $good);
misused('the token as part of an option', $good, @args, "--token=$good");
misused('the token behind "Bearer " on the command line', $good, @args, "Bearer $good");
misused('an option that looks like a secret', 'A1b2C3d4E5f6G7h8.x', @args, '--A1b2C3d4E5f6G7h8.x');
ok($last{err} !~ /A1b2/, 'is not repeated');
for (['--help', qr/^usage: mcp-oauth-verify .*--signature-only/s], ['-h', qr/^usage/], ['--version', qr/^mcp-oauth-verify [0-9]+\.[0-9]+/]) {
    run('', $_->[0]);
    ok($last{status} eq '0' && $last{out} =~ $_->[1] && $last{err} eq '', "$_->[0] tells it", $last{out}, $last{err});
}
{
    my $full = -c '/dev/full' ? system("\"\$MCP_VERIFY\" --issuer '$ISS' --audience '$AUD' --jwks '$jwks' --now $NOW '$dir/token' >/dev/full 2>'$dir/err'") >> 8 : 2;
    ok($full == 2, 'a report that cannot be written is no success', "status $full");
}

# --- published examples

my $rsa_n = 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW'
    . 'vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k'
    . 'G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ';
my $joe = b64("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
my @published = (
    ['RFC 7515 appendix A.2', { kty => 'RSA', n => $rsa_n, e => 'AQAB' }, b64('{"alg":"RS256"}') . ".$joe."
        . 'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4'
        . 'BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv'
        . 'hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'],
    ['RFC 7515 appendix A.3', { kty => 'EC', crv => 'P-256', x => 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y => 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' },
        b64('{"alg":"ES256"}') . ".$joe.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"],
    ['RFC 8037 appendix A.4', { kty => 'OKP', crv => 'Ed25519', x => '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
        b64('{"alg":"EdDSA"}') . '.' . b64('Example of Ed25519 signing')
        . '.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'],
);
for (@published) {
    my ($name, $key, $jws) = @$_;
    my @only = ('--signature-only', '--jwks', spew("$dir/key.json", $json->encode($key)));
    accepted("$name is good", $jws, @only);
    ok($name =~ /7515/ ? $last{report}{claims}{iss} eq 'joe' : !defined $last{report}{claims}, 'its claims are shown, if it has any');
    refused("$name with a payload that was changed", $jws =~ s/\.(..)/'.' . ($1 eq 'ZZ' ? 'YY' : 'ZZ')/er, 'token-signature', 'signature', @only);
}
my ($a2, $a3) = map { $_->[2] } @published[0, 1];
spew("$dir/key.json", $json->encode($published[0][1]));
refused('RFC 7515 appendix A.2 as a token, in its time', $a2, 'token-audience', 'audience', '--issuer', 'joe', '--audience', 'x', '--jwks', "$dir/key.json", '--now', 1300819000);
refused('RFC 7515 appendix A.2 as a token, today', $a2, 'token-expired', 'times', '--issuer', 'joe', '--audience', 'x', '--jwks', "$dir/key.json");
refused('RFC 7515 appendix A.3 with the key of A.2', $a3, 'token-key-unknown', 'key', '--signature-only', '--jwks', "$dir/key.json");

# --- third-party vectors, where they are

sub vectors { my ($name) = @_; my $path = "$vectors/$name"; return $json->decode(slurp($path)) if -f $path; print "# not there: $name\n"; return }
sub reason { my $report = run(@_); $said_wrong || !$report ? 'wrong: ' . ($said_wrong || "status $last{status}") : $report->{reason} }
sub key_file { spew("$dir/vector.json", ref $_[0] ? $json->encode($_[0]) : $_[0]) }
sub only { ('--signature-only', '--jwks', key_file($_[0])) }

for my $name (qw(jws/4_1.rsa_v15_signature jws/4_2.rsa-pss_signature jws/4_3.ecdsa_signature curve25519/jws)) {
    my $file = vectors("jose_cookbook/$name.json") or next;
    accepted("TOK-6 cookbook $name is good", $file->{output}{compact}, only($file->{input}{key}));
}
for my $name (qw(jws/4_4.hmac-sha2_integrity_protection jws/4_5.signature_with_detached_content rfc7797/hmac-sha2_b64_false)) {
    my $file = vectors("jose_cookbook/$name.json") or next;
    my $jws = $file->{output}{compact} or next;
    my $got = reason($jws, only($published[1][1]));
    ok($got =~ /^token-(?:algorithm|critical|header)$/, "cookbook $name is refused", $got);
}
# The set that holds a symmetric key and one of a kid twice is refused whole by some; here the keys that are none are left out.
if (my $file = vectors('wycheproof/json_web_key_test.json')) {
    my ($count, $accepted, @wrong) = (0, 0);
    for my $group (@{$file->{testGroups}}) {
        my $keys = $group->{public} || $group->{private};
        for my $test (@{$group->{tests}}) {
            my $symmetric = grep { $_->{kty} eq 'oct' } @{$keys->{keys} || [$keys]};
            my $got = reason($test->{jws}, only($keys));
            my $want = $test->{result} eq 'valid' && !$symmetric;
            $count++;
            $accepted += $want;
            push @wrong, "$test->{tcId} $test->{comment}: $got" if ($got eq 'ok') != $want || $got =~ /^wrong/;
        }
    }
    ok($count == $file->{numberOfTests} && $accepted && !@wrong, "Wycheproof keys: $count tests, $accepted to be accepted", @wrong);
}
# Their messages are no signing inputs, so no signature here is good; the keys are.
for (['ed25519_test', 'EdDSA'], ['ecdsa_secp256r1_sha256_p1363_test', 'ES256'], ['rsa_pss_2048_sha256_mgf1_32_test', 'PS256']) {
    my ($name, $alg) = @$_;
    my $file = vectors("wycheproof/$name.json") or next;
    my ($count, @wrong) = (0);
    for my $group (@{$file->{testGroups}}) {
        my $test = $group->{tests}[$count % @{$group->{tests}}];
        my %key = %{$group->{publicKeyJwk} || next};
        delete $key{kid};
        my $jws = join '.', b64("{\"alg\":\"$alg\"}"), b64(pack 'H*', $test->{msg}), b64(pack('H*', $test->{sig}) || "\0");
        my $got = reason($jws, only(\%key));
        $count++;
        push @wrong, "$test->{tcId} $test->{comment}: $got" if $got ne 'token-signature';
    }
    ok($count && !@wrong, "T07 T08 Wycheproof $name as JWS: $count keys are taken, no signature is", @wrong);
}
for (['ec', 'ok'], ['okp', 'ok'], ['rsa', 'ok'], ['hmac', 'token-algorithm'], ['pem', 'keys-unavailable'], ['x509', 'keys-unavailable']) {
    my ($name, $want) = @$_;
    my $path = "$vectors/jwt_verify_lib/jwks_$name.txt";
    if (!-f $path) { print "# not there: $path\n"; next }
    my $text = slurp($path);
    my ($jwt) = $text =~ /^jwt: "(.*)"/m;
    my ($keys) = $text =~ /^jwks: ['"](.*)['"]/m;
    $keys =~ s/\\n/\n/g;
    my $got = reason($jwt, only($keys));
    ok($got eq $want, "jwt_verify_lib jwks_$name: $want", $got);
}

print "1..$n\n";
exit($bad ? 1 : 0);
