package MCP::AuthServer;
# An authorization server whose answers the test changes while it runs.
#
#   my $as = MCP::AuthServer->start($port);
#   $as->discovery('/.well-known/openid-configuration', issuer => $as->url, jwks_uri => $as->url('/jwks'));
#   $as->keys('/jwks', $text, 'Cache-Control' => 'max-age=60');
#   $as->set('/jwks', status => '500 Oops', body => '…', headers => [NAME, VALUE], hang => 1, drip => SECONDS per byte,
#            delay => SECONDS, cut => BYTES, size => BYTES of padding, etag => '"v1"' (304 to who has it));
#   $as->count('/jwks'); $as->answers('/jwks', 200); $as->down; $as->up;
# Whatever is not set is 404.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::Server';
use JSON::PP ();
use MCP::Keys ();
use Time::HiRes qw(sleep time);

my $JSON = JSON::PP->new->canonical;

sub start {
    my ($class, $port, %opt) = @_;
    my $self;
    my $rules = File::Temp->newdir(TMPDIR => 1);
    $self = $class->SUPER::start($port, sub { answer($rules, @_) }, rules => $rules, set => {}, %opt);
    return $self;
}

sub url { my ($self, $path) = @_; "http://127.0.0.1:$self->{port}" . ($path // '') }

sub set {
    my ($self, $path, %rule) = @_;
    $self->{set}{$path} = \%rule;
    MCP::Keys::write_file("$self->{rules}/rules", $JSON->encode($self->{set}));
    return $self;
}

sub unset {
    my ($self, @paths) = @_;
    delete $self->{set}{$_} for @paths;
    MCP::Keys::write_file("$self->{rules}/rules", $JSON->encode($self->{set}));
    return $self;
}

sub keys {
    my ($self, $path, $text, @headers) = @_;
    return $self->set($path, body => $text, headers => ['Content-Type', 'application/jwk-set+json', @headers]);
}

sub discovery {
    my ($self, $path, %member) = @_;
    return $self->set($path, body => $JSON->encode(\%member), headers => ['Content-Type', 'application/json']);
}

# How many requests for this path (without query) so far; all of them without a path.
sub count { my ($self, $path) = @_; scalar grep { !defined $path || $_->{path} eq $path } $self->requests }

# The answers to this path so far, in order: { path, status, at (when it was given), tag (If-None-Match, or undef) }. With a
# status those alone. What was hung up, or sent in parts, is no answer. Not emptied by clear.
sub answers {
    my ($self, $path, $status) = @_;
    open my $fh, '<', "$self->{rules}/answers" or return ();
    return grep { $_->{path} eq $path && (!defined $status || $_->{status} == $status) }
        map { $JSON->decode($_) } grep { /\n\z/ } <$fh>;
}

# Have the fetches come to rest, with the last answer for this path longer ago than that? Then a cool-down is over.
sub cooled {
    my ($self, $path, $seconds) = @_;
    my @answers = $self->answers($path);
    return @answers && @answers >= $self->count($path) && time - $answers[-1]{at} > $seconds;
}

sub answer {
    my ($rules, $request, $client) = @_;
    my ($status, @answer) = make($rules, $request, $client) or return;
    my %note = (path => $request->{path}, status => 0 + substr($status, 0, 3), at => time, tag => $request->{headers}{'if-none-match'});
    open my $fh, '>>', "$rules/answers" or die "$rules/answers: $!";
    syswrite $fh, $JSON->encode(\%note) . "\n";    # short, so in one piece
    close $fh;
    return ($status, @answer);
}

sub make {
    my ($rules, $request, $client) = @_;
    my $rule = {};
    if (open my $fh, '<', "$rules/rules") {
        local $/;
        $rule = $JSON->decode(<$fh>)->{ $request->{path} } || {};
    }
    return ('404 Not Found', ['Content-Type', 'application/json'], '{"error":"not_found"}') unless %$rule;
    if ($rule->{hang}) { sleep 1 while 1 }
    sleep $rule->{delay} if $rule->{delay};
    my $body = ($rule->{body} // '') . ' ' x ($rule->{size} // 0);
    my $status = $rule->{status} // '200 OK';
    my $headers = $rule->{headers} || ['Content-Type', 'application/json'];
    if (defined $rule->{etag}) {
        $headers = [@$headers, ETag => $rule->{etag}];
        ($status, $body) = ('304 Not Modified', '') if ($request->{headers}{'if-none-match'} // '') eq $rule->{etag};
    }
    return ($status, $headers, $body) unless defined $rule->{cut} || $rule->{drip};

    my @h = @$headers;
    print $client "HTTP/1.1 $status\r\n";
    while (my ($name, $value) = splice @h, 0, 2) { print $client "$name: $value\r\n" }
    print $client 'Content-Length: ', length $body, "\r\n\r\n";
    $body = substr $body, 0, $rule->{cut} if defined $rule->{cut};
    if ($rule->{drip}) {
        for (split //, $body) { print $client $_; sleep $rule->{drip} }
    }
    else {
        print $client $body;
    }
    return;
}

1;
