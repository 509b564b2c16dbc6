package MCP::Test;
# What the functional tests share: tokens, raw HTTP, logs, polling. See MCP::Backend and MCP::AuthServer for servers.
#
#   use lib 't/lib';
#   use MCP::Test;                                  # brings Test::More along
#   my $r = http(token => GET => '/a', token => token(aud => 'https://mcp.test/a'));
#   is $r->{code}, 401, 'T01 alg none is refused';
#   my %c = challenge($r);                          # auth-params of WWW-Authenticate, scheme under ''
#   done_testing;
# Over which HTTP is chosen for the whole run, by MCP_HTTP: h1, h2c (HTTP/2, cleartext) or h2 (HTTP/2 over TLS); see test/httpd.sh.
use strict;
use warnings FATAL => 'all';

use Apache::Test ();
use Exporter 'import';
use File::Temp ();
use IO::Socket::INET ();
use IO::Select ();
use JSON::PP ();
use MCP::HTTP2 ();
use MIME::Base64 qw(encode_base64url decode_base64url);
use MCP::Keys ();
use MCP::Poll qw(wait_for);
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = (
    @Test::More::EXPORT,
    qw(vars port slurp write_file json json_text mint made jwk jwks_text key_text public_key token sign_text
        hmac_token claims_of b64 unb64 now http rpc rpc_body header headers challenge answers_json
        connection dial open_request send_request http_version wait_for settles log_mark log_since access_since status_of is_status
        accepts refuses statuses_of)
);

our $ISS  = 'https://as.test';
our $JSON = JSON::PP->new->canonical->allow_nonref->utf8;

# Apache::Test reads files with $_ when it is asked first.
sub vars { local $_; Apache::Test::vars(@_) }

# The port of a virtual host or of a server that tests start; a number is taken as it is.
sub port {
    my $name = shift;
    return $name if $name =~ /^\d+$/;
    return vars('port') if $name eq 'default';
    return vars("${name}_port") // die "no port for $name\n";
}

sub slurp {
    my ($name, $from) = @_;
    open my $fh, '<:raw', $name or die "$name: $!";
    seek $fh, $from, 0 if $from;
    local $/;
    return scalar(<$fh>) // '';
}
sub write_file { MCP::Keys::write_file(@_) }
sub now        { int time }
sub b64        { encode_base64url($_[0], '') }
sub unb64      { decode_base64url($_[0]) }
sub json       { $JSON->decode($_[0]) }
sub json_text  { $JSON->encode($_[0]) }

# --- keys and tokens -----------------------------------------------------------------------------

sub made { vars('t_dir') . "/made/$_[0]" }

sub mint {
    my $out = MCP::Keys::run(vars('mcp_mint'), @_);
    $out =~ s/\n\z// unless $_[0] eq 'public';
    return $out;
}
sub jwk        { MCP::Keys::jwk(vars('mcp_mint'), made(''), @_) }     # jwk('rsa', '--kid', 'a')
sub jwks_text  { MCP::Keys::jwks(vars('mcp_mint'), made(''), @_) }    # jwks_text(['rsa', '--kid', 'a'], '{"kty":…}')
sub key_text   { slurp(made("$_[0].pem")) }
sub public_key { my ($key, @opt) = @_; MCP::Keys::run(vars('mcp_mint'), 'public', made("$key.pem"), @opt) }

my %ALG = (
    rsa => 'RS256', ec256 => 'ES256', ec384 => 'ES384', ec521 => 'ES512', ed25519 => 'EdDSA', ed448 => 'EdDSA',
    ec256_b => 'ES256', stranger_ec => 'ES256', enc => 'ES256', nosign => 'ES256', tls => 'ES256',
);

# token(CLAIM => VALUE, …, -OPTION => VALUE, …): a good token of https://as.test but for what is said; undef removes a
# claim. Without aud there is none. Options:
#   -key NAME, -alg A (signature and header), -kid K, -header {…} (merged; undef removes), -header_text, -payload_text
#   (as they are), -der (ECDSA signature left in DER), -none (no signature), -secret FILE (HMAC), -unlogged (see below)
# Every token is kept in made/minted: nothing of it may ever stand in a log.
sub token {
    my %a   = @_;
    my %opt = map { $_ => delete $a{$_} } grep { /^-/ } keys %a;
    my $key = $opt{-key} // 'rsa';
    my $alg = $opt{-alg} // $ALG{$key} // 'RS256';

    my $payload = $opt{-payload_text};
    $payload //= claims_text(%a);
    my $head = $opt{-header_text};
    if (!defined $head) {
        my %h = (alg => $alg, typ => 'at+jwt', kid => exists $opt{-kid} ? $opt{-kid} : $key, %{ $opt{-header} || {} });
        delete $h{$_} for grep { !defined $h{$_} } keys %h;
        $head = json_text(\%h);
    }
    my @how = $opt{-none} ? '--none' : $opt{-secret} ? ('--secret-file', $opt{-secret}) : made("$key.pem");
    push @how, '--der' if $opt{-der};
    return remember(mint('sign', @how, '--alg', $alg, '--header', $head, '--payload', $payload));
}

my $serial = 0;

# The claims set as JSON text; a value \'text' goes in as it is.
sub claims_text {
    my %a = @_;
    my %c = (
        iss => $ISS, sub => 'alice', client_id => 'client-1', iat => now() - 1, exp => now() + 600,
        jti => join('-', $$, ++$serial, int(time * 1000)), scope => 'mcp:read mcp:write', %a
    );
    delete $c{$_} for grep { !defined $c{$_} } keys %c;
    return '{' . join(',', map { json_text($_) . ':' . (ref $c{$_} eq 'SCALAR' && ${ $c{$_} } !~ /^[01]$/
                ? ${ $c{$_} } : json_text($c{$_})) } sort keys %c) . '}';
}
sub claims_of { json(unb64((split /\./, $_[0])[1])) }

# The signature of any text.
sub sign_text {
    my ($text, %opt) = @_;
    my $key = $opt{-key} // 'rsa';
    return mint('sign', made("$key.pem"), '--alg', $opt{-alg} // $ALG{$key} // 'RS256', $opt{-der} ? '--der' : (),
        '--text', $text);
}

# A token whose HMAC key is the given bytes.
sub hmac_token {
    my ($alg, $secret, %a) = @_;
    my $file = File::Temp->new;
    binmode $file;
    print $file $secret;
    close $file;
    return token(-alg => $alg, -secret => $file->filename, %a);
}

sub remember {
    my $token = shift;
    open my $fh, '>>', made('minted') or die "minted: $!";
    print $fh "$token\n";
    close $fh;
    return $token;
}

# --- HTTP ------------------------------------------------------------------------------------------

# A raw connection: ->send(bytes), ->answer(METHOD) reads one response, ->closed after the server ended it. It is also what open_request
# returns: ->data(bytes), ->end(trailers) and ->cut for the body, piece by piece.
{
    package MCP::Connection;
    use Time::HiRes qw(time);

    sub new {
        my ($class, $port, %opt) = @_;
        my $sock = MCP::HTTP2::socket_to($port, $opt{tls} && 'http/1.1', $opt{context});
        return bless { sock => $sock, in => '', timeout => $opt{timeout} // 20 }, $class;
    }

    sub send {
        my ($self, @data) = @_;
        local $SIG{PIPE} = 'IGNORE';
        $self->{sock}->syswrite($_) for @data;    # the other end may have closed: the answer tells
        return $self;
    }

    sub data {
        my ($self, @texts) = @_;
        return $self->send($self->{chunked} ? map { length $_ ? sprintf("%x\r\n%s\r\n", length $_, $_) : () } @texts : @texts);
    }

    sub end {
        my ($self, @trailers) = @_;
        return $self unless $self->{chunked};
        my $text = "0\r\n";
        while (my ($n, $v) = splice @trailers, 0, 2) { $text .= "$n: $v\r\n" }
        return $self->send("$text\r\n");
    }

    sub close { close $_[0]{sock} }
    sub cut   { $_[0]->close }

    # More input within the time left; false at the end of the stream. Dies when nothing comes.
    sub more {
        my ($self, $deadline) = @_;
        return 0 if $self->{eof};
        my $sock = $self->{sock};
        $sock->can('pending') && $sock->pending or IO::Select->new($sock)->can_read(($deadline - time) > 0 ? $deadline - time : 0)
            or die "no answer within $self->{timeout} s\n";
        my $n = sysread $self->{sock}, $self->{in}, 65536, length $self->{in};
        $self->{eof} = 1 unless $n;
        return $n;
    }

    # True if the server closes within the time, with nothing further sent.
    sub closed {
        my ($self, $seconds) = @_;
        my $deadline = time + ($seconds // 20);
        return 0 if length $self->{in};
        return eval { !$self->more($deadline) } ? 1 : 0;
    }

    sub upto {
        my ($self, $re, $deadline) = @_;
        while ($self->{in} !~ /$re/) { $self->more($deadline) or return undef }
        $self->{in} =~ s/\A(.*?)$re//s;
        return $1;
    }

    sub exactly {
        my ($self, $n, $deadline) = @_;
        while (length $self->{in} < $n) { $self->more($deadline) or last }
        return substr $self->{in}, 0, $n, '';
    }

    # True once the body, as far as it has come, matches; it is left for answer.
    sub shows {
        my ($self, $re, $seconds) = @_;
        my $deadline = time + ($seconds // $self->{timeout});
        while (1) {
            my ($text) = $self->{in} =~ /\r\n\r\n(.*)/s;
            return 1 if defined $text && ($text =~ s/(?:\A|\r\n)[0-9a-f]+\r\n//gir) =~ $re;
            return 0 unless eval { $self->more($deadline) };
        }
    }

    # { code, reason, headers => [[name, value], …], body, raw_head, seconds }; code 0 when the connection ended without.
    sub answer {
        my ($self, $method) = @_;
        my $start = time;
        my $deadline = $start + $self->{timeout};
        my $r = { code => 0, reason => '', headers => [], body => '', raw_head => '' };
        {
            my $head = $self->upto(qr/\r\n\r\n/, $deadline);
            if (!defined $head) {
                $r->{body} = $self->{in};
                last;
            }
            $r->{raw_head} = $head;
            my ($line, @lines) = split /\r\n/, $head;
            @$r{qw(code reason)} = $line =~ m{^HTTP/1\.\d (\d+) ?(.*)} or die "no status line: $line\n";
            $r->{headers} = [map { [/^([^:]*):\s*(.*?)\s*$/s] } @lines];
            if ($r->{code} == 100) {
                $r->{interim} = 1;
                return $r if ($method // '') eq 'interim';
                redo;
            }
        }
        $r->{body} = $self->body($r, $method // 'GET', $deadline) if $r->{code};
        $r->{seconds} = time - $start;
        return $r;
    }

    sub body {
        my ($self, $r, $method, $deadline) = @_;
        my %h = map { lc $_->[0] => $_->[1] } @{ $r->{headers} };
        return '' if $method eq 'HEAD' || $r->{code} =~ /^(?:1..|204|304)$/;
        if (($h{'transfer-encoding'} // '') =~ /chunked/i) {
            my $body = '';
            while (defined(my $size = $self->upto(qr/\r\n/, $deadline))) {
                my $n = hex(($size =~ /^([0-9a-f]+)/i)[0] // 0);
                if (!$n) { $self->upto(qr/\r\n/, $deadline); last }
                $body .= $self->exactly($n, $deadline);
                $self->exactly(2, $deadline);
            }
            return $body;
        }
        return $self->exactly($h{'content-length'}, $deadline) if defined $h{'content-length'};
        1 while $self->more($deadline);
        my $body = $self->{in};
        $self->{in} = '';
        return $body;
    }
}

# A server that a test starts by itself, named by its port, speaks HTTP/1.1 in any case.
sub http_version { my $where = shift // ''; $where =~ /^\d+$/ ? 'h1' : vars('mcp_http') // 'h1' }

# A raw connection is HTTP/1.1. In a run over HTTP/2, where the same virtual hosts speak both, that has to be meant:
# h1 => 'why HTTP/2 has no such case'.
sub connection {
    my ($where, %opt) = @_;
    my $version = http_version($where);
    if ($version ne 'h1') {
        die "connection to $where: this run is over HTTP/2; take dial, open_request or send_request, or say why this is HTTP/1.1: h1 => …\n" unless $opt{h1};
        note "HTTP/1.1 in this run too: $opt{h1}";
    }
    return MCP::Connection->new(port($where), %opt, tls => $version eq 'h2');
}

# An open connection for several requests (on => …).
sub dial {
    my ($where, %opt) = @_;
    my $version = http_version($where);
    return connection($where, %opt) if $version eq 'h1' || $opt{h1};
    return MCP::HTTP2->new(port($where), %opt, tls => $version eq 'h2');
}

# One request on a connection of its own. Options: token (Bearer), headers [NAME, VALUE, …] or [[NAME, VALUE], …] in this
# order, body, chunked (true, or the size of a chunk; over HTTP/2 of a DATA frame, without content-length), host (undef: no Host
# line), timeout, version, keep (no Connection: close), on (an open connection), h1 (as for connection).
sub http {
    my ($where, $method, $target, %opt) = @_;
    return send_request($where, $method, $target, %opt)->answer($method);
}

# The same without reading the answer: ->shows(REGEX) while it comes, ->answer(METHOD).
sub send_request {
    my ($where, $method, $target, %opt) = @_;
    my $c = $opt{on} || dial($where, timeout => $opt{timeout} // 20, h1 => $opt{h1});
    return h2_request($c, $where, $method, $target, %opt) if $c->isa('MCP::HTTP2');
    return $c->send(request_text($where, $method, $target, %opt));
}

# The head alone, with length => BYTES or without one (chunked, then). What it returns takes the rest: ->data(bytes), ->end or
# ->end(NAME, VALUE) with trailers, ->cut to break off; and ->answer(METHOD). Options as those of http.
sub open_request {
    my ($where, $method, $target, %opt) = @_;
    my $c = $opt{on} || dial($where, timeout => $opt{timeout} // 20, h1 => $opt{h1});
    return h2_request($c, $where, $method, $target, %opt, open => 1) if $c->isa('MCP::HTTP2');
    my @framing = defined $opt{length} ? ('Content-Length', $opt{length}) : ('Transfer-Encoding', 'chunked');
    $c->{chunked} = !defined $opt{length};
    return $c->send(request_text($where, $method, $target, %opt, headers => [@{ $opt{headers} || [] }, @framing]));
}

sub h2_request {
    my ($c, $where, $method, $target, %opt) = @_;
    my @h = map { ref $_ ? @$_ : $_ } @{ $opt{headers} || [] };
    unshift @h, 'authorization', "Bearer $opt{token}" if defined $opt{token};
    my $host = exists $opt{host} ? $opt{host} : 'localhost:' . port($where);
    return $c->request($method, $target, %opt, authority => $host, headers => \@h);
}

sub request_text {
    my ($where, $method, $target, %opt) = @_;
    my @h = map { ref $_ ? @$_ : $_ } @{ $opt{headers} || [] };
    my $host = exists $opt{host} ? $opt{host} : 'localhost:' . port($where);
    my $text = "$method $target HTTP/" . ($opt{version} // '1.1') . "\r\n";
    $text .= "Host: $host\r\n" if defined $host;
    $text .= "Authorization: Bearer $opt{token}\r\n" if defined $opt{token};
    while (my ($n, $v) = splice @h, 0, 2) { $text .= "$n: $v\r\n" }
    $text .= "Connection: close\r\n" unless $opt{keep} || $opt{on};
    my $body = $opt{body};
    return "$text\r\n" unless defined $body;
    return $text . 'Content-Length: ' . length($body) . "\r\n\r\n$body" unless $opt{chunked};
    my $size = $opt{chunked} > 1 ? $opt{chunked} : length($body) || 1;
    $text .= "Transfer-Encoding: chunked\r\n\r\n";
    $text .= sprintf "%x\r\n%s\r\n", length $_, $_ for unpack "(a$size)*", $body;
    return "${text}0\r\n\r\n";
}

# A JSON-RPC message as text: rpc_body('tools/call', {name => 'add'}, id => 7); id undef = a notification.
sub rpc_body {
    my ($method, $params, %more) = @_;
    my %m = (jsonrpc => '2.0', id => 1, method => $method, %more);
    $m{params} = $params if $params;
    delete $m{$_} for grep { !defined $m{$_} } keys %m;
    return json_text(\%m);
}

# POSTs JSON-RPC: rpc(VHOST, PATH, METHOD or a reference to the raw text, PARAMS, options of http, id => …).
sub rpc {
    my ($where, $path, $method, $params, %opt) = @_;
    my $body = ref $method ? $$method : rpc_body($method, $params, exists $opt{id} ? (id => delete $opt{id}) : ());
    my @h = map { ref $_ ? @$_ : $_ } @{ delete $opt{headers} || [] };
    my %have = map { lc $h[$_ * 2] => 1 } 0 .. @h / 2 - 1;
    push @h, 'Content-Type', 'application/json' unless $have{'content-type'};
    push @h, 'Accept', 'application/json, text/event-stream' unless $have{accept};
    return http($where, POST => $path, headers => \@h, body => $body, %opt);
}

sub headers { my ($r, $name) = @_; map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $r->{headers} } }
sub header  { my @v = headers(@_); $v[0] }

# The auth-params of the challenge with this scheme (Bearer), the scheme under ''; empty without one. Dies when a field does not
# follow RFC 9110 section 11.6.1, RFC 6750 section 3 and RFC 9449 section 7.1: one challenge in a field, each scheme once, quoted
# strings, no parameter twice.
sub challenge {
    my ($r, $scheme) = @_;
    my %all;
    for (headers($r, 'WWW-Authenticate')) {
        my %c = auth_params($_);
        die "challenge: $c{''} twice\n" if $all{ $c{''} };
        $all{ $c{''} } = \%c;
    }
    return %{ $all{ $scheme // 'Bearer' } || {} };
}

sub auth_params {
    my $field = shift;
    my ($scheme, $rest) = $field =~ /^([A-Za-z0-9-]+)(?: +(.*))?$/ or die "challenge: $field\n";
    my %c = ('' => $scheme);
    $rest //= '';
    while ($rest =~ s/^([a-z_]+)="((?:[^"\\]|\\.)*)"(?:, *|$)//) {
        my ($name, $value) = ($1, $2);
        die "challenge: $name twice\n" if exists $c{$name};
        $value =~ s/\\(.)/$1/g;
        $c{$name} = $value;
    }
    die "challenge, from here: $rest\n" if length $rest;
    return %c;
}

# What every answer of the module's own has (design 2.2): JSON, no-store, request_id. Returns the decoded body.
sub answers_json {
    my ($r, $code, $error, $name) = @_;
    my $body = eval { json($r->{body}) };
    my @wrong;
    push @wrong, "status $r->{code}" if $r->{code} != $code;
    push @wrong, 'Content-Type ' . (header($r, 'Content-Type') // 'missing')
        if (header($r, 'Content-Type') // '') !~ m{^application/json\b};
    push @wrong, 'Cache-Control ' . (header($r, 'Cache-Control') // 'missing')
        if (header($r, 'Cache-Control') // '') ne 'no-store';
    push @wrong, "$_ twice" for grep { headers($r, $_) > 1 } qw(Content-Type Cache-Control Retry-After Allow DPoP-Nonce);
    push @wrong, $@ unless eval { challenge($r); 1 };
    push @wrong, "body $r->{body}" if ref $body ne 'HASH';
    if (ref $body eq 'HASH' && defined $error) {
        push @wrong, 'error ' . ($body->{error} // 'missing') if ($body->{error} // '') ne $error;
        push @wrong, "no $_" for grep { !defined $body->{$_} || ref $body->{$_} || !length $body->{$_} }
            qw(error_description request_id);
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
    return $body;
}

sub is_status {
    my ($r, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $r->{code}, $code, $name or diag substr "$r->{raw_head}\n$r->{body}", 0, 600;
}

# The status of GET with a token: the shortest way to ask "is it accepted?"
sub status_of { my ($where, $path, $token, %opt) = @_; http($where, GET => $path, token => $token, %opt)->{code} }

# A token that gets through: accepts(VHOST, PATH, TOKEN, NAME). The response.
sub accepts {
    my ($where, $path, $token, $name, %opt) = @_;
    my $r = http($where, GET => $path, token => $token, %opt);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($r, 200, $name);
    return $r;
}

# A token that must be answered with 401 and everything that belongs to it. The response.
sub refuses {
    my ($where, $path, $token, $name, %opt) = @_;
    my $r = http($where, GET => $path, token => $token, %opt);
    my %c = eval { challenge($r) };
    my @wrong;
    push @wrong, "challenge: $@" if $@;
    push @wrong, "status $r->{code}" if $r->{code} != 401;
    push @wrong, 'scheme ' . ($c{''} // 'missing') if ($c{''} // '') ne 'Bearer';
    push @wrong, 'error ' . ($c{error} // 'missing') if ($c{error} // '') ne 'invalid_token';
    push @wrong, "no $_" for grep { !length($c{$_} // '') } qw(error_description resource_metadata);
    push @wrong, 'body ' . $r->{body} if (eval { json($r->{body})->{error} } // '') ne 'invalid_token';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
    return $r;
}

# The same for several tokens at once, each on a connection of its own: answers that take their time take it together.
sub statuses_of {
    my ($where, $path, @tokens) = @_;
    my @asked = map { send_request($where, GET => $path, token => $_) } @tokens;
    return map { $_->answer('GET')->{code} } @asked;
}

# --- time and logs -----------------------------------------------------------------------------------

# True once the code gives what is wanted many times in a row: every child of httpd has a state of its own.
sub settles {
    my ($seconds, $want, $code) = @_;
    my $deadline = time + $seconds;
    for (my $n = 0; $n < 10;) {
        $n = $code->() eq $want ? $n + 1 : 0;
        return 0 if !$n && time > $deadline;
        sleep 0.1 unless $n;
    }
    return 1;
}

sub log_file { vars('t_logs') . "/$_[0]" }
sub log_mark { return { map { $_ => -s log_file($_) || 0 } qw(error_log access_log) } }
sub log_since    { slurp(log_file('error_log'),  $_[0]{error_log}) }
sub access_since { slurp(log_file('access_log'), $_[0]{access_log}) }

1;
