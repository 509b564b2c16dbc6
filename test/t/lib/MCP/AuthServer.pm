package MCP::AuthServer;
# An authorization server whose answers the test changes while it runs.
#
#   my $as = MCP::AuthServer->start($port);
#   $as->discovery('/.well-known/openid-configuration', issuer => $as->url, jwks_uri => $as->url('/jwks'));
#   $as->keys('/jwks', $text, 'Cache-Control' => 'max-age=60');
#   $as->set('/jwks', status => '500 Oops', body => '…', headers => [NAME, VALUE], hang => 1, drip => SECONDS per byte,
#            delay => SECONDS, cut => BYTES, size => BYTES of padding, code => …);
#   $as->count('/jwks'); $as->down; $as->up;
# Whatever is not set is 404.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::Server';
use JSON::PP ();
use MCP::Keys ();
use Time::HiRes qw(sleep);

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

sub answer {
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
