package MCP::Rate;
# What the tests of McpOAuthRateLimit share. Every user is a new one: buckets outlast a test file that is run again.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use MCP::Gate;
use MCP::Test;

our @EXPORT = qw(user call passes_n limited_rpc limited_json slug retry_after codes);

my $serial = 0;

# A token of a user nobody has seen; claims as those of token.
sub user { token(aud => 'https://mcp.test/rate', sub => join('-', 'u', $$, now(), ++$serial), @_) }

# tools/call of that tool.
sub call { my ($where, $path, $token, $tool, %opt) = @_; rpc($where, $path, 'tools/call', { name => $tool // 'ok' }, token => $token, %opt) }
sub codes { join ' ', map { $_->{code} } @_ }

sub slug { (split /\|/, header($_[0], 'X-Env') // '')[-1] // '' }

# Exactly so many of the requests pass, the first ones; the next is over the limit. The response of that one.
sub passes_n {
    my ($n, $ask, $name) = @_;
    my @codes = map { $ask->()->{code} } 1 .. $n;
    my $r = $ask->();
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !(grep { !/^20[02]$/ } @codes) && $r->{code} == 429, $name or diag "@codes, then $r->{code}: ", substr $r->{body}, 0, 300;
    return $r;
}

# Whole seconds until one fits: from 1 to the most that can be.
sub retry_after {
    my ($r, $most) = @_;
    my @v = headers($r, 'Retry-After');
    return 'Retry-After ' . (join(' and ', @v) || 'missing') unless @v == 1 && $v[0] =~ /^[1-9]\d{0,8}$/;
    return $v[0] > $most ? "Retry-After $v[0] is more than $most" : '';
}

sub common {
    my ($r, $most) = @_;
    my @wrong = grep { $_ } retry_after($r, $most);
    push @wrong, 'a challenge' if headers($r, 'WWW-Authenticate');
    push @wrong, 'reason ' . slug($r) if slug($r) ne 'rate-limited' || (header($r, 'X-Env') // '') !~ /\|deny\|/;
    push @wrong, 'replaced' if $r->{body} =~ /replaced/;
    return @wrong;
}

# 429 in JSON-RPC with this id (its JSON text; undef: none), at most so many seconds to wait.
sub limited_rpc {
    my ($r, $id, $most, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = refused_rpc($r, 429, 429, $id, $name);
    my @wrong = common($r, $most);
    is "@wrong", '', "$name: 429 that says when to come again, and nothing else";
    return $body;
}

# 429 in OAuth JSON.
sub limited_json {
    my ($r, $most, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = answers_json($r, 429, 'too_many_requests', $name);
    my @wrong = common($r, $most);
    is "@wrong", '', "$name: 429 that says when to come again, and nothing else";
    return $body;
}

1;
