# Tokens whose kid nobody knows: how often that causes a fetch, who waits for it, and that it harms nobody.
# Design 2.4, 2.5; requirements.md KEY-5; threats.md K01, K02, K14, R03, R08.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::AuthServer;
use MCP::Children;
use IO::Select;
use Time::HiRes qw(time sleep);

my $server = MCP::AuthServer->start(port('unknown_as'));
my @names = qw(flood memory empty failing kid slow crowd);
sub iss { "https://$_[0].unknown.test" }
sub t { my ($name, $kid, $key) = @_; token(aud => 'https://mcp.test/k', iss => iss($name), -key => $key // 'ec256', -kid => $kid // 'one') }
sub code { status_of(keys => '/k', $_[0]) }
sub count { $server->count("/$_[0]/jwks") }
sub all_are { my ($want, $name, @codes) = @_; is_deeply [grep { $_ != $want } @codes], [], $name }

# What a flood is made of: nobody looks at the signature when there is no key for it.
my $serial = 0;
sub flood {
    my ($name, $kid) = @_;
    return join '.', (map { b64(json_text($_)) } { alg => 'ES256', typ => 'at+jwt', kid => $kid // "random-$$-" . ++$serial },
        { iss => iss($name), aud => 'https://mcp.test/k', sub => 'eve', exp => now() + 600, jti => ++$serial }), b64('x' x 64);
}

my $one = jwks_text([ec256 => '--kid', 'one']);
$server->keys("/$_/jwks", $one) for @names;
my %good = map { $_ => t($_) } @names;
ok wait_for(30, sub { scalar $server->answers("/$_/jwks", 200) }), "$_: fetched" for @names;
ok settles(30, 200, sub { code($good{$_}) }), "$_: keys are there" for @names;

# --- R03: the server hangs. Nobody waits for longer than 2 s; the fetch ends after 15 s: see the end.
my ($slow, $slow_mark) = (count('slow'), log_mark());
{
    $server->set('/slow/jwks', hang => 1);
    my $r = http(keys => GET => '/k', token => t('slow', 'hoped-for'));
    is $r->{code}, 401, 'R03 an unknown kid is 401 while the server hangs';
    cmp_ok $r->{seconds}, '>', 1, 'R03 after a while';
    cmp_ok $r->{seconds}, '<', 10, 'R03 which is shorter than the fetch';
    my $start = time;
    all_are(401, 'R03 others do not wait for a fetch that is late', map { code(flood('slow')) } 1 .. 5);
    all_are(200, 'R03 nor do known ones', map { code($good{slow}) } 1 .. 5);
    cmp_ok time - $start, '<', 8, 'R03 at all';    # 10 s if each of the five did
    is count('slow'), $slow + 1, 'KEY-5 all of that is one fetch';
}

# --- K01, K02, R08: four issuers under flood at once. Random kids; always the same one; a server that answers without keys;
# a server that fails.
{
    my @flooded = qw(flood memory empty failing);
    $server->keys('/empty/jwks', '{"keys":[]}');
    $server->set('/failing/jwks', status => '500 Oops', body => $one);
    my $mark = log_mark();
    my %before = map { $_ => count($_) } @flooded;
    my $n = sub { count($_[0]) - $before{ $_[0] } };
    my $start = time;
    my ($shortest, @codes, @known) = (99);
    while (time < $start + 5.2 || (time < $start + 60 && ($n->('flood') < 2 || $n->('memory') < 2 || $n->('empty') < 2))) {
        my $asked = time;
        my $fetches = $n->('flood');
        push @codes, statuses_of(keys => '/k', flood('flood'), flood('flood'), flood('memory', 'stubborn'), flood('empty'), flood('failing'));
        my $took = time - $asked;
        push @known, code($good{ $flooded[@known % 4] });
        $shortest = $took if $took < $shortest && $n->('flood') > $fetches;
        sleep 0.02;
    }
    my %n = map { $_ => $n->($_) } @flooded;
    my $seconds = time - $start;
    all_are(401, 'K01 all ' . @codes . ' unknown kids are 401', @codes);
    all_are(200, 'K01 R08 meanwhile all known ones are good', @known);
    cmp_ok $n{flood}, '>=', 2, 'KEY-5 an unknown kid causes a fetch, and after the cool-down another one does';
    cmp_ok $n{flood}, '<=', 1 + $seconds / 2, 'K01 R08 one in a cool-down of 2 s for the whole server';
    cmp_ok $shortest, '<', 1.8, 'KEY-5 who waits is answered when the fetch has ended';
    cmp_ok $n{memory}, '>=', 2, 'KEY-5 a kid asked for in vain is asked for again';
    cmp_ok $n{memory}, '<=', 1 + $seconds, 'KEY-5 not before the cool-down of 1 s is over';
    cmp_ok $n{empty}, '>=', 2, 'K02 no key in the answer: it is asked again';
    cmp_ok $n{empty}, '<=', 1 + $seconds / 3, 'K02 and that does not reset the cool-down';
    cmp_ok $n{failing}, '>=', 1, 'K02 nor does a failure;';
    cmp_ok $n{failing}, '<=', 1 + $seconds / 30, 'K02 and it is not tried again without a reason';
    all_children(200, $good{empty}, 'K02 the keys of before stay, in every child');
    all_children(200, $good{failing}, 'K01 K03 also after a failure');

    # Whoever waited may have been answered before the fetch was over.
    my $failed = sub { my $name = shift; scalar grep { /MCP0314\b/ && /\b$name\.unknown/ } split /\n/, log_since($mark) };
    wait_for(30, sub { $failed->($_) == $n->($_) }) for qw(empty failing);
    my @log = split /\n/, log_since($mark);
    is scalar(grep { /MCP0207/ } @log), scalar @codes, 'K01 the log has one line per refusal';
    is_deeply [grep { /\[mcp_oauth:(?:info|notice|warn|error|crit|alert|emerg)\]/ && /client 127/ && !/MCP0207/ } @log], [],
        'K01 and no other for it';
    is_deeply [grep { /MCP03/ && /(?:flood|memory)\.unknown/ } @log], [], 'K01 nor one for a fetch that brought nothing new';
    for my $name (qw(empty failing)) {
        is $failed->($name), $n->($name), "K01 $name: one for each fetch that failed";
        is scalar(grep { /MCP031[01]\b/ && /\b$name\.unknown/ } @log), 0, "R02 $name: and none for a change of state: there is none";
    }

    # Who has made up the name of a key to come must not keep it out.
    $server->keys('/memory/jwks', jwks_text([ec256 => '--kid', 'one'], [ec256_b => '--kid', 'stubborn']));
    $server->keys('/empty/jwks', jwks_text([ec256 => '--kid', 'one'], [ec256_b => '--kid', 'two']));
    my %new = (memory => t('memory', 'stubborn', 'ec256_b'), empty => t('empty', 'two', 'ec256_b'));
    ok wait_for(30, sub { code($new{$_}) == 200 }), "R06 $_: a key that comes after all is found" for sort keys %new;
}

# --- K14: what is no kid causes no fetch, and none stands in the log as it is
{
    my %malformed = (
        number => 7, object => { one => 1 }, array => ['one'], true => JSON::PP::true(), '4 kB' => 'k' x 4096, '257 bytes' => 'k' x 257);
    my $n = count('kid');
    refuses(keys => '/k', token(aud => 'https://mcp.test/k', iss => iss('kid'), -key => 'ec256', -header => { kid => $malformed{$_} }), "K14 kid: $_")
        for sort keys %malformed;
    refuses(keys => '/k', token(aud => 'https://mcp.test/k', iss => iss('kid'), -key => 'ec256', -header_text => qq({"alg":"ES256","typ":"at+jwt","kid":$_})),
        "K14 kid: $_") for 'null', '"one\\u0000"', '"\\ud800"';
    my $mark = log_mark();
    my @strange = ("a\nMCP0310: forged line", "\e[31mred", "\x7f\x01", '../../../etc/passwd', "' OR 1=1 --", '%0a%00', '', 'One', 'one ', ' one', 'on', 'k' x 256);
    is count('kid'), $n, 'K14 none of them causes a fetch';
    refuses(keys => '/k', t('kid', $_), 'K14 kid ' . json_text(length > 40 ? length . ' bytes' : $_)) for @strange;
    ok count('kid') > $n, 'K14 a kid that could be one does';
    my $log = log_since($mark);
    unlike $log, qr/^a?MCP0310/m, 'K14 no line is forged';
    unlike $log, qr/\e|\x7f|\x01/, 'K14 no control character gets into the log';
    unlike $log, qr/kkkkkkkk|etc.passwd|OR 1=1/, 'K14 no kid is logged';
    is code($good{kid}), 200, 'K14 the known one stays good';
}

# --- R03: more requests than may wait
{
    my ($workers) = workers();
    my ($n, @answers, @refused, $known);
    # Who comes when the fetch is 2 s old does not wait. So all must be at work before: again, if that took too long.
    for (1 .. 4) {
        $n = count('crowd');
        $server->set('/crowd/jwks', hang => 1);
        # Every worker has the first half of a request, then all get the second half.
        my @halves = busy_workers(map { flood('crowd') } 1 .. $workers);
        my @conns = map { $_->[0] } @halves;
        my %of = map { $_->{sock} => $_ } @conns;
        my $start = time;
        $_->[0]->send($_->[1]) for @halves;
        my ($select, $first) = (IO::Select->new(map { $_->{sock} } @conns));
        (@answers, $known) = ();
        while ($select->count) {
            my @ready = $select->can_read(20) or last;
            $first //= time - $start;
            for my $sock (@ready) {
                push @answers, $of{$sock}->answer('GET');
                $select->remove($sock);
                $known //= code($good{crowd});
            }
        }
        @refused = grep { $_->{code} == 503 } @answers;
        last if $first < 1.5;
        $server->keys('/crowd/jwks', $one)->down->up;    # which ends that fetch
        sleep 1.5;
    }
    my @waited  = grep { $_->{code} == 401 } @answers;
    is @refused + @waited, $workers, 'R03 every request is answered';
    # Of the workers of each process, too: fewer wait where one of them has got more than its share.
    cmp_ok scalar(@waited), '>=', $workers / 2, 'R03 three quarters of the workers may wait';
    cmp_ok scalar(@refused), '>=', 1, 'R03 but not all of them';
    is $answers[0]{code}, 503, 'R03 the rest is sent away at once';
    answers_json($answers[0], 503, 'temporarily_unavailable', 'R03 with an answer that says so');
    is_deeply [grep { (header($_, 'Retry-After') // '') ne '1' } @refused], [], 'R03 Retry-After: 1';
    is_deeply [map { headers($_, 'WWW-Authenticate') } @refused], [], 'CHL-18 and no challenge';
    is $known, 200, 'R03 a known kid has a worker left';
    is count('crowd'), $n + 1, 'R03 KEY-5 one fetch for all of them';
    $server->keys('/crowd/jwks', $one);
    is code(flood('crowd')), 401, 'R03 afterwards there is place again';
    all_children(200, $good{crowd}, 'R03 and all is well');
}

# --- R03: the fetch of the beginning
{
    my $ended = sub { scalar(my @lines = log_since($slow_mark) =~ /MCP0314\b.*\bslow\.unknown/g) };
    ok wait_for(30, $ended), 'R03 the fetch from a server that hangs ends by its timeout';
    is code($good{slow}), 200, 'R03 and the known key is good';
    sleep 1.3;
    is $ended->(), 1, 'R03 it is not tried again without a reason';
    is count('slow'), $slow + 1, 'R03 nor was there any other';
    all_children(200, $good{slow}, 'R03 and after the timeout');
}
done_testing;
