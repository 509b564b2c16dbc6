# How and when the user has to have authenticated: requirements.md STP-1, STP-2 (RFC 9470).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;
use Time::HiRes qw(time sleep);

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my $where = 'bound';
my $resource = 'https://mcp.test/step';
my $prm = 'https://mcp.test/.well-known/oauth-protected-resource/step';
sub t { token(aud => $resource, scope => 'mcp:read', @_) }
sub ask { my ($path, %claims) = @_; http($where, GET => "/step$path", token => t(%claims)) }
sub lets { my ($name, $path, %claims) = @_; is_status(ask($path, %claims), 200, $name) }

# 401 insufficient_user_authentication, with what is asked for and nothing else. $asked: { acr_values, max_age }
sub weak {
    my ($r, $reason, $asked, $name, %opt) = @_;
    my $scheme = $opt{scheme} // 'Bearer';
    answers_json($r, 401, 'insufficient_user_authentication', $name);
    my %c = challenge($r, $scheme);
    my $text = delete $c{error_description};
    ok length($text // ''), "$name: a description";
    is_deeply \%c, { '' => $scheme, error => 'insufficient_user_authentication', resource_metadata => $prm, scope => $opt{scope} // 'mcp:read', %$asked, $scheme eq 'DPoP' ? (algs => "@DPOP_ALGS") : () }, "$name: the challenge";
    my %other = challenge($r, $scheme eq 'DPoP' ? 'Bearer' : 'DPoP');
    is_deeply [grep { /^error|^acr_values|^max_age/ } sort keys %other], [], "$name: nothing of it in the other one";
    is schemes($r), $opt{schemes} // 'Bearer DPoP', "$name: schemes";
    like reason($r), $reason, "$name: the reason";
    unlike join("\n", headers($r, 'WWW-Authenticate')), qr/insufficient_scope/, "STP-2 $name: nothing about scopes missing";
}
my ($weak, $old) = (qr/^authentication-weak$/, qr/^authentication-old$/);
my %acr = (acr_values => 'urn:gold 2');

# --- acr
lets "STP-1 acr $_", '/acr', acr => $_ for 'urn:gold', '2';
lets 'STP-1 nothing asked: no acr', '';
lets 'STP-1 nothing asked: any acr', '', acr => 'urn:lead', auth_time => 0;
untouched $backend, 'STP-1', sub {
    weak(ask('/acr', acr => $_->[1]), $weak, \%acr, "STP-1 acr $_->[0]") for (
        ['missing', undef], ['another', 'urn:silver'], ['empty', ''], ['a number', 2], ['null', \'null'], ['a list', ['urn:gold']], ['an object', { 'urn:gold' => 1 }], ['true', \'true'], ['in capitals', 'URN:GOLD'],
        ['longer', 'urn:gold2'], ['shorter', 'urn:gol'], ['two in one', 'urn:gold 2'], ['with a blank', ' urn:gold'], ['both', 'urn:gold urn:gold'],
    );
    weak(ask('/acr', acrs => ['urn:gold'], amr => ['urn:gold']), $weak, \%acr, 'STP-2 other claims do not count');
    is_deeply [map { [headers(ask('/acr'), 'WWW-Authenticate')] } 1 .. 3], [([headers(ask('/acr'), 'WWW-Authenticate')]) x 3], 'CHL-10 always the same';
};

# --- auth_time
my %age = (max_age => '300');
lets "STP-1 auth_time $_->[0]", '/age', auth_time => $_->[1] for (['now', now()], ['270 s ago', now() - 270], ['a fraction', \(now() - 10 . '.75')], ['half a minute ahead, within the skew', now() + 30]);
untouched $backend, 'STP-1', sub {
    weak(ask('/age', auth_time => $_->[1]), $old, \%age, "STP-1 auth_time $_->[0]") for (
        ['missing', undef], ['330 s ago', now() - 330], ['a year ago', now() - 365 * 86400], ['an hour ahead', now() + 3600], ['in milliseconds', \(now() . '000')], ['a string', now() . ''], ['null', \'null'], ['a list', [now()]],
        ['true', \'true'], ['an object', {}], ['zero', \'0.0'], ['negative', -1], ['1e300', \'1e300'], ['a date', '2099-01-01T00:00:00Z'],
    );
    weak(ask('/age', auth_time => undef, iat => now(), updated_at => now()), $old, \%age, 'STP-2 other claims do not count');
};

# --- both: all that is configured, whatever is missing
my %both = (acr_values => 'urn:gold urn:silver', max_age => '300');
lets "STP-1 both, acr $_", '/both', acr => $_, auth_time => now() - 10 for 'urn:gold', 'urn:silver';
for (['weak', $weak, acr => 'urn:lead', auth_time => now()], ['old', $old, acr => 'urn:gold', auth_time => now() - 3600], ['both', qr/^authentication-(?:weak|old)$/, acr => 'urn:lead', auth_time => 5], ['nothing said', qr/^authentication-(?:weak|old)$/]) {
    my ($name, $reason, %claims) = @$_;
    weak(ask('/both', %claims), $reason, \%both, "STP-1 asked for both: $name");
}

# --- and scopes: first this, then those, never both at once
{
    my %gold = (acr_values => 'urn:gold');
    my $scope = 'mcp:read mcp:admin';
    my %all = (acr => 'urn:gold', scope => $scope, role => 'admin');
    lets 'STP-2 all that is asked for', '/more', %all;
    weak(ask('/more', %all, acr => undef), $weak, \%gold, 'STP-2 only the acr is missing', scope => $scope);
    weak(ask('/more', %all, acr => undef, scope => 'mcp:read'), $weak, \%gold, 'STP-2 the acr comes before scopes', scope => $scope);
    weak(ask('/more', %all, acr => undef, role => undef), $weak, \%gold, 'STP-2 and before claims', scope => $scope);
    my $r = ask('/more', %all, scope => 'mcp:read');
    answers_json($r, 403, 'insufficient_scope', 'STP-2 then the scopes');
    my %c = challenge($r);
    is_deeply [@c{qw(error scope acr_values max_age)}], ['insufficient_scope', $scope, undef, undef], 'STP-2 and nothing about the acr';
    $r = ask('/more', %all, role => undef);
    answers_json($r, 403, 'forbidden', 'STP-2 then the claims');
    is_deeply [grep { /^error|acr|max/ } keys %{ { challenge($r) } }], [], 'STP-2 and nothing to ask for';
    $r = ask('/more', %all, acr => undef, client_id => 'other');
    answers_json($r, 403, 'forbidden', 'STP-2 the client comes before');
    is_deeply [grep { /^error|acr|max/ } keys %{ { challenge($r) } }], [], 'STP-2 whom no authentication helps';
    $r = http($where, GET => '/step/more', token => t(%all, acr => undef, exp => now() - 300));
    is_deeply [$r->{code}, { challenge($r) }->{error}], [401, 'invalid_token'], 'STP-1 the token comes before';
    $r = http($where, GET => '/step/both');
    is_deeply [$r->{code}, grep { /^error|acr|max/ } map { keys %{ { challenge($r, $_) } } } qw(Bearer DPoP)], [401], 'CHL-3 no credentials: nothing about it';
}

# --- messages
{
    my %how = (acr => 'urn:gold', scope => 'mcp:admin mcp:read');
    my @call = ('tools/call', { name => 'x' });
    is rpc($where, '/step/acl', @call, token => t(%how))->{code}, 200, 'STP-1 a message passes';
    untouched $backend, 'STP-1 messages', sub {
        my $r = rpc($where, '/step/acl', @call, token => t(%how, acr => 'urn:lead'));
        weak($r, $weak, { acr_values => 'urn:gold' }, 'STP-1 a message: the acr, before the body is read');
        $r = rpc($where, '/step/acl', @call, token => t(%how, acr => 'urn:lead', scope => 'mcp:read'));
        is_deeply [$r->{code}, { challenge($r) }->{error}], [401, 'insufficient_user_authentication'], 'STP-2 a message: the acr comes before its scopes';
        $r = rpc($where, '/step/acl', @call, token => t(%how, scope => 'mcp:read'));
        my %c = challenge($r);
        is_deeply [$r->{code}, @c{qw(error scope acr_values)}], [403, 'insufficient_scope', 'mcp:read mcp:admin', undef], 'STP-2 a message: then its scopes';
    };
}

# --- by DPoP
{
    my $url = "$resource/dpop";
    my %claims = (aud => $resource, scope => 'mcp:read');
    is_status(dpop($where, GET => '/step/dpop', bound(%claims, acr => 'urn:gold')), 200, 'STP-1 by DPoP');
    weak(dpop($where, GET => '/step/dpop', bound(%claims)), $weak, { acr_values => 'urn:gold' }, 'STP-1 by DPoP, required', scheme => 'DPoP', schemes => 'DPoP');
    weak(dpop($where, GET => '/step/acr', bound(%claims)), $weak, \%acr, 'STP-1 by DPoP', scheme => 'DPoP');
    my $r = dpop($where, GET => '/step/acr', bound(%claims), proof => { htm => 'PUT' });
    refuses_dpop($r, 'dpop-method', 'STP-1 by DPoP: the proof comes before');
}

# --- HEAD
{
    my ($get, $head) = map { http($where, $_ => '/step/both', token => t()) } qw(GET HEAD);
    is_deeply [$head->{code}, headers($head, 'WWW-Authenticate')], [401, headers($get, 'WWW-Authenticate')], 'CHL-16 HEAD: the challenges of GET';
}

# --- a token that is known already becomes too old without a pause
{
    my ($born, $t, $good, $last_good, $first_bad, $r);
    for (1 .. 5) {    # there must be time to ask often
        $born = now();
        $t = t(auth_time => $born);
        my $c = dial($where);
        ($good, $last_good, $first_bad) = (0);
        while (time < $born + 25) {
            my $before = time;
            $r = http($where, GET => '/step/short', token => $t, on => $c);
            if ($r->{code} != 200) { $first_bad = time; last }
            $good++;
            $last_good = $before;
            sleep 0.02;
        }
        last if $good > 10;
    }
    weak($r, $old, { max_age => '4' }, 'STP-1 a known token becomes too old');
    cmp_ok $good, '>', 10, 'STP-1 it was good before, and cached';
    cmp_ok $last_good // 0, '<=', $born + 5, 'STP-1 never accepted when it was too old';
    cmp_ok $first_bad // 0, '>=', $born + 3.9, 'STP-1 not refused before';
    is http($where, GET => '/step', token => $t)->{code}, 200, 'C03 elsewhere it is as good as ever';
    is http($where, GET => '/step/acr', token => $t)->{code}, 401, 'C03 or not good enough, by the rules of the place';
}
no_crash($mark);

done_testing;
