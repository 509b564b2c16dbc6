# A proof works once on the whole server: requirements.md POP-5 (RFC 9449 section 11.1).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Children;
use MCP::Gate;
use MCP::Httpd;
use MCP::Proof;
use Time::HiRes qw(time sleep);

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my ($where, $mcp) = ('bound', 'https://mcp.test/mcp');
my $t = bound(aud => $mcp);
my $other = bound(aud => $mcp, -holder => 'dpop_b');
sub ask { my ($proof, %opt) = @_; http($where, GET => $opt{path} // '/mcp', dpop_headers($opt{token} // $t, $proof), on => $opt{on}) }
my $serial = 0;
sub jti { join '-', 'jti', $$, ++$serial, int(time * 1000) }

# --- the same proof
{
    my $proof = proof(GET => $mcp, $t);
    is_status(ask($proof), 200, 'POP-5 once');
    $backend->clear;
    refuses_dpop(ask($proof), 'dpop-replayed', "POP-5 again, $_") for 1 .. 5;
    refuses_dpop(ask($proof, path => '/mcp?x=1'), 'dpop-replayed', 'POP-5 again, with a query');
    my $c = dial($where);
    my $fresh = proof(GET => $mcp, $t);
    is_deeply [map { ask($_, on => $c)->{code} } $fresh, $fresh, $proof, proof(GET => $mcp, $t)], [200, 401, 401, 200], 'POP-5 on one connection';
    is scalar($backend->requests), 2, 'POP-5 nothing of this reached the backend but what is good';
}

# --- what makes it the same: key and jti
{
    my $jti = jti();
    is_status(ask(proof(GET => $mcp, $t, jti => $jti)), 200, 'POP-5 a jti');
    refuses_dpop(ask(proof(GET => $mcp, $t, jti => $jti)), 'dpop-replayed', 'POP-5 the same jti in another proof');
    refuses_dpop(ask(proof(GET => $mcp, $t, jti => $jti, iat => now() + 100)), 'dpop-replayed', 'POP-5 at another time');
    refuses_dpop(ask(proof(GET => "$mcp/x", $t, jti => $jti), path => '/mcp/x'), 'dpop-replayed', 'POP-5 at another place');
    my $second = bound(aud => $mcp);
    refuses_dpop(ask(proof(GET => $mcp, $second, jti => $jti), token => $second), 'dpop-replayed', 'POP-5 with another token of the same key');
    my $elsewhere = bound(aud => 'https://mcp.test/optional');
    refuses_dpop(ask(proof(GET => 'https://mcp.test/optional', $elsewhere, jti => $jti), token => $elsewhere, path => '/optional'), 'dpop-replayed', 'POP-5 at another resource');
    is_status(ask(proof(GET => $mcp, $other, jti => $jti, -key => 'dpop_b'), token => $other), 200, 'POP-5 another key may have the same jti');
    is_status(ask(proof(GET => $mcp, $t, jti => $jti . $_)), 200, 'POP-5 a longer jti is another one') for ' ', 'x', '-';
    is_status(ask(proof(GET => $mcp, $t, jti => uc $jti)), 200, 'POP-5 letters count');
    is_status(ask(proof(GET => $mcp, $t, jti => "\x{e9}$jti")), 200, 'POP-5 a jti beyond ASCII');
    refuses_dpop(ask(proof(GET => $mcp, $t, jti => "\x{e9}$jti")), 'dpop-replayed', 'POP-5 and again');
}

# --- who has not the key cannot use up a jti
{
    my $jti = jti();
    refuses_dpop(ask(proof(GET => $mcp, $t, jti => $jti, -header => { jwk => json(jwk('dpop_b')) })), 'dpop-signature', 'POP-5 a jti, with a bad signature');
    refuses_dpop(ask(proof(GET => $mcp, $t, jti => $jti, -key => 'dpop_b')), 'dpop-key', 'POP-5 a jti, by another key');
    is_status(ask(proof(GET => $mcp, $t, jti => $jti)), 200, 'POP-5 the jti is as good as new');
}

# --- at the same time
for my $round (1 .. 5) {
    my $proof = proof(GET => $mcp, $t);
    my @all = map { dial($where) } 1 .. 8;
    my @sent = map { send_request($where, GET => '/mcp', dpop_headers($t, $proof), on => $_) } @all;
    my %codes;
    $codes{ $_->answer('GET')->{code} }++ for @sent;
    $_->close for @all;    # a child of prefork keeps to one
    cmp_ok $codes{200} // 0, '<=', 1, "POP-5 eight at once, round $round: not more than one passes";
    is +($codes{200} // 0) + ($codes{401} // 0), 8, "POP-5 eight at once, round $round: the others are refused";
    refuses_dpop(ask($proof), 'dpop-replayed', "POP-5 eight at once, round $round: and none later");
}

# --- every process knows what one of them has seen. A child that waits for the second half of a request takes no other (in
# prefork), so that all get their share.
{
    my $proof = proof(GET => $mcp, $t);
    my ($first) = workers();
    is_status(ask($proof), 200, 'POP-5 one process has seen it');
    my (%seen, @left);
    my $deadline = time + 40;
    my $asked = 0;
    do {
        my %tags;
        my @halves = map {
            my $tag = join '-', $$, ++$asked;
            $tags{$tag} = 1;
            my ($head, $rest) = MCP::Test::request_text($where, GET => '/mcp', headers => [Authorization => "DPoP $t", DPoP => $proof, 'X-Ask' => $tag]) =~ /\A(.*?\r\n)(.*)\z/s;
            [connection($where, h1 => 'which process answers')->send($head), $rest];
        } 1 .. ($first > 8 ? 16 : $first);
        sleep 0.1;
        $_->[0]->send($_->[1]) for @halves;
        $_->[0]->answer('GET') for @halves;
        my @lines;    # a request is logged when its answer has been sent
        wait_for(30, sub { (@lines = grep { $tags{ $_->[2] // '' } } map { [split] } split /\n/, slurp(MCP::Test::log_file('bound_children'))) == @halves }) or die "requests are missing in bound_children\n";
        $seen{ $_->[0] }{ $_->[1] }++ for @lines;
        @left = grep { !$seen{$_} } children();
    } while (@left && time < $deadline);
    is_deeply \@left, [], 'POP-5 every process was asked';
    cmp_ok scalar(keys %seen), '>=', 2, 'POP-5 there are several of them';
    is_deeply [grep { join(',', keys %{ $seen{$_} }) ne '401' } sort keys %seen], [], 'POP-5 each has refused it, each time';
}

# --- many
{
    my @proofs = map { proof(GET => $mcp, $t) } 1 .. 40;
    my $c = dial($where);
    is_deeply [map { ask($_, on => $c)->{code} } @proofs], [(200) x 40], 'POP-5 many one after the other';
    is_deeply [map { ask($_, on => $c)->{code} } @proofs], [(401) x 40], 'POP-5 and none of them twice';
}
no_crash($mark);

# --- children come and go, by a graceful restart or because they are killed: what has been used is used, and nonces hold
SKIP: {
    skip 'a server of its own is HTTP/1.1', 1 if http_version('bound') ne 'h1';
    my $port = port('bound_httpd');
    my $httpd = MCP::Httpd->start($port, conf => <<END);
Header always set X-Env "%{MCP_OAUTH_DECISION}e|%{MCP_OAUTH_REASON}e"
<McpOAuthIssuer "https://as.test">
    McpOAuthJwks "file:@{[made('as.json')]}"
</McpOAuthIssuer>
<Location "/m">
    McpOAuthIssuer https://as.test
    McpOAuthDPoPNonce On
</Location>
END
    my $url = 'https://mcp.test/m';
    my $token = bound(aud => $url);
    my $nonce = header(dpop($port, GET => '/m', $token), 'DPoP-Nonce') // 'none';
    my $again = sub { http($port, GET => '/m', dpop_headers($token, shift)) };
    my $fresh = sub { proof(GET => $url, $token, nonce => $nonce) };
    my $used = $fresh->();
    is_status($again->($used), 200, 'POP-5 a proof');
    for (['a graceful restart', sub { kill USR1 => $httpd->{pid} }], ['another one', sub { kill USR1 => $httpd->{pid} }], ['all children are killed', sub { kill KILL => $httpd->children }]) {
        my ($what, $how) = @$_;
        my %old = map { $_ => 1 } $httpd->children;
        $how->();
        my $others = wait_for(30, sub { my @now = $httpd->children; @now && !grep { $old{$_} } @now });
        ok $others, "POP-5 $what: there are other children";
        refuses_dpop($again->($used), 'dpop-replayed', "POP-5 $what: the proof has been used");
        my $next = $fresh->();
        is_status($again->($next), 200, "POP-5 $what: a fresh one with the nonce of before");
        refuses_dpop($again->($next), 'dpop-replayed', "POP-5 $what: once");
    }
}

done_testing;
