package MCP::Introspection;
# An authorization server that is asked about tokens (RFC 7662), and what the tests of that share.
#
#   my $as = MCP::Introspection->start(port('introspection_as'));
#   my $token = $as->active(aud => 'https://mcp.test/answers', sub => 'alice');    # a new token, and the answer about it
#   (with -token => TOKEN about that one, with -delay => SECONDS late)
#   $as->says($token, body => '…', status => …, delay => …);    # what MCP::AuthServer::set takes
#   $as->set('/fail', status => '500 Oops');    # whatever is asked there; unset ends it
#   $as->asked($token), $as->calls('/fail'): the calls so far
# A token of which nothing was said is inactive.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::AuthServer';
use Exporter 'import';
use Digest::SHA ();
use JSON::PP ();
use MCP::Test qw(ok diag b64 json slurp header headers challenge);    # not note: a method has that name
use MIME::Base64 ();
use Time::HiRes qw(time);

our @EXPORT = qw(opaque reason inactive unavailable unlogged);

my $JSON = JSON::PP->new->canonical->allow_nonref->utf8;

sub start {
    my ($class, $port, %opt) = @_;
    my $rules = File::Temp->newdir(TMPDIR => 1);
    return MCP::Server::start($class, $port, sub { reply($rules, @_) }, rules => $rules, set => {}, %opt);
}

# A rule for the path comes before one for the token.
sub reply {
    my ($rules, $request, $client) = @_;
    return MCP::AuthServer::answer($rules, $request, $client) unless $request->{method} eq 'POST';
    my ($token) = @{ form($request->{body})->{token} || [''] };
    open my $fh, '>>', "$rules/calls" or die "calls: $!";
    syswrite $fh, $JSON->encode({ path => $request->{path}, token => digest($token), at => time }) . "\n";
    close $fh;
    my $set = -e "$rules/rules" ? JSON::PP->new->decode(slurp("$rules/rules")) : {};
    return MCP::AuthServer::answer($rules, $request, $client) if $set->{ $request->{path} };
    my $name = 'token ' . digest($token);
    return ('200 OK', ['Content-Type', 'application/json'], '{"active":false}') unless $set->{$name};
    return MCP::AuthServer::answer($rules, { %$request, path => $name }, $client);
}

sub digest { Digest::SHA::sha256_hex($_[0]) }

# The members of a form, each a list.
sub form {
    my %form;
    for (split /&/, $_[0]) {
        my ($name, $value) = map { tr/+/ /; s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split /=/, $_, 2;
        push @{ $form{ $name // '' } }, $value;
    }
    return \%form;
}

# Client and secret of an Authorization field, as they are behind Base64 and the form encoding.
sub basic {
    my ($text) = ($_[0] // '') =~ m{\ABasic ([A-Za-z0-9+/]+=*)\z} or return ();
    my ($name, $secret) = split /:/, MIME::Base64::decode_base64($text), 2;
    return map { tr/+/ /; s/%([0-9A-Fa-f]{2})/chr hex $1/ger } $name, $secret // '';
}

sub says {
    my ($self, $token, %rule) = @_;
    return $self->set('token ' . digest($token), %rule);
}

# An answer with these members about a token, by default a new one. Returns the token.
sub active {
    my ($self, %member) = @_;
    my $token = delete $member{-token} // opaque();
    my %how = (headers => ['Content-Type', 'application/json'], delay => delete $member{-delay});
    $self->says($token, body => $JSON->encode({ active => JSON::PP::true(), %member }), %how);
    return $token;
}

sub forget {
    my ($self, $token) = @_;
    return $self->unset('token ' . digest($token));
}

# { path, token (its SHA-256), at } of each call there, or of all, in order.
sub calls {
    my ($self, $path) = @_;
    my $file = "$self->{rules}/calls";
    my @lines = -e $file ? split /\n/, slurp($file) : ();
    return grep { !defined $path || $_->{path} eq $path } map { $JSON->decode($_) } grep { /\}\z/ } @lines;
}

# How often, or (in list context) when, the server was asked about a token.
sub asked {
    my ($self, $token) = @_;
    my $digest = digest($token);
    return map { $_->{at} } grep { $_->{token} eq $digest } $self->calls;
}

# --- tokens and answers of ours

my @OPAQUE;

# A new opaque token. Remembered, for unlogged.
sub opaque {
    my $bytes;
    open my $fh, '<:raw', '/dev/urandom' or die "urandom: $!";
    read $fh, $bytes, 32;
    push @OPAQUE, b64($bytes);
    return $OPAQUE[-1];
}

# The slug, and the user: the virtual host puts them into each answer.
sub reason { (split /\|/, header($_[0], 'X-Env') // '')[2] // '' }


# 401 with error invalid_token, for this reason.
sub inactive {
    my ($r, $reason, $name) = @_;
    my %c = eval { challenge($r) };
    my @wrong;
    push @wrong, "status $r->{code}" if $r->{code} != 401;
    push @wrong, 'reason ' . reason($r) if reason($r) ne $reason;
    push @wrong, "challenge: $@" if $@;
    push @wrong, 'error ' . ($c{error} // 'missing') if ($c{error} // '') ne 'invalid_token';
    push @wrong, 'body ' . $r->{body} if (eval { json($r->{body})->{error} } // '') ne 'invalid_token';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
}

# 503 that says when to come again, and challenges nobody.
sub unavailable {
    my ($r, $name) = @_;
    my @wrong;
    push @wrong, "status $r->{code}" if $r->{code} != 503;
    push @wrong, 'reason ' . reason($r) if reason($r) ne 'introspection-unavailable';
    push @wrong, 'Retry-After ' . (header($r, 'Retry-After') // 'missing') if (header($r, 'Retry-After') // '') !~ /^[1-9]\d?$/;
    push @wrong, 'a challenge' if headers($r, 'WWW-Authenticate');
    push @wrong, 'Cache-Control' if (header($r, 'Cache-Control') // '') ne 'no-store';
    push @wrong, 'body ' . $r->{body} if (eval { json($r->{body})->{error} } // '') ne 'temporarily_unavailable';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
}

# None of the opaque tokens so far, and none of these texts, stands in what was logged. Each text as it is, as it would stand in a
# form, and in Base64.
sub unlogged {
    my ($name, $log, @secrets) = @_;
    my @looked_for = map { $_, s/([^A-Za-z0-9._-])/sprintf '%%%02X', ord $1/ger, MIME::Base64::encode_base64($_, '') =~ s/..?=+\z//r } @secrets;
    my @found = grep { index($log, $_) >= 0 } @looked_for, map { substr $_, 0, 24 } @OPAQUE;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok @OPAQUE && length $log && !@found, $name or diag scalar(@found), ' found, in ', length $log, ' bytes';
}

1;
