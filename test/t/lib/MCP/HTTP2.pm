package MCP::HTTP2;
# A small HTTP/2 client (RFC 9113, RFC 7541): one connection, any number of streams. Frames are written by hand, so that a test
# can also send what no client would.
#
#   my $c = MCP::HTTP2->new($port, tls => 1);                 # TLS with ALPN; else cleartext with prior knowledge
#   my $r = $c->request(POST => '/mcp', authority => 'h', headers => [NAME, VALUE, …], body => $text)->answer('POST');
#   my $s = $c->request(POST => '/mcp', open => 1);           # the head alone
#   $s->data($some, $more)->end; $s->answer;                  # or ->end(NAME, VALUE) with trailers, ->cut for RST_STREAM
#   $c->frame(DATA, FLAGS, $s->{id}, $payload);               # as it is
# Answers look like those of MCP::Connection; code 0 without one, then {reset} is the error code of RST_STREAM, if there was one.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use Scalar::Util ();
use Time::HiRes qw(time);

use constant { DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6, GOAWAY => 7, WINDOW_UPDATE => 8, CONTINUATION => 9 };
use constant { END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8, PRIORITY => 32 };
use constant { NO_ERROR => 0, PROTOCOL_ERROR => 1, CANCEL => 8 };

our @EXPORT_OK = qw(DATA HEADERS RST_STREAM SETTINGS PING GOAWAY WINDOW_UPDATE CONTINUATION END_STREAM ACK END_HEADERS PADDED
    NO_ERROR PROTOCOL_ERROR CANCEL field fields);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

my $LARGEST = 16384;    # of a frame, as long as the other end does not say more

sub new {
    my ($class, $port, %opt) = @_;
    my $self = bless {
        sock => socket_to($port, $opt{tls} && 'h2', $opt{context}), scheme => $opt{tls} ? 'https' : 'http', in => '', timeout => $opt{timeout} // 20,
        next => 1, streams => {}, window => 65535, first_window => 65535
    }, $class;
    # No dynamic table, no pushes, and never a reason to wait for us.
    $self->raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    $self->frame(SETTINGS, 0, 0, pack 'nNnNnN', 1, 0, 2, 0, 4, 0x7fffffff);
    $self->frame(WINDOW_UPDATE, 0, 0, pack 'N', 0x7fffffff - 65535);
    return $self;
}

# A connected socket; with a protocol, TLS that must agree on it. Whose certificate it is does not matter here. A context is dear;
# one with a certificate of its own is made by the test.
my %contexts;

sub socket_to {
    my ($port, $protocol, $context) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "connect to port $port: $!\n";
    setsockopt $sock, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    return $sock unless $protocol;
    require IO::Socket::SSL;
    $context //= $contexts{$protocol} //= tls_context($protocol);
    IO::Socket::SSL->start_SSL($sock, SSL_reuse_ctx => $context, SSL_hostname => 'localhost')
        or die "TLS to port $port: " . IO::Socket::SSL::errstr() . "\n";
    my $got = $sock->alpn_selected // 'nothing';
    die "TLS to port $port: $protocol was offered, $got chosen\n" unless $got eq $protocol;
    return $sock;
}

# tls_context(PROTOCOL, SSL_… => VALUE, …)
sub tls_context {
    my ($protocol, @more) = @_;
    require IO::Socket::SSL;
    return IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0, SSL_alpn_protocols => [$protocol], @more)
        || die "TLS: " . IO::Socket::SSL::errstr() . "\n";
}

# --- sending

sub raw {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {    # the other end may have closed: the answer tells
        my $n = syswrite $self->{sock}, $bytes or last;
        substr $bytes, 0, $n, '';
    }
    return $self;
}

sub frame {
    my ($self, $type, $flags, $id, $payload) = @_;
    $payload //= '';
    return $self->raw(substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $id) . $payload);
}

# One header field, literal, not indexed; a block of them.
sub field { my ($name, $value) = @_; "\0" . text($name) . text($value) }
sub fields { my $block = ''; while (my ($n, $v) = splice @_, 0, 2) { $block .= field($n, $v) } $block }

sub text { my $text = shift; utf8::encode($text) if utf8::is_utf8($text) && !utf8::downgrade($text, 1); number(length $text, 7) . $text }

sub number {
    my ($n, $bits) = @_;
    my $full = (1 << $bits) - 1;
    return chr $n if $n < $full;
    my $out = chr $full;
    for ($n -= $full; $n > 127; $n >>= 7) { $out .= chr($n & 127 | 128) }
    return $out . chr $n;
}

# The fields of a request in the order they are sent, out of those that HTTP/1.1 would have: lower case, without surrounding
# blanks. What belongs to a connection of HTTP/1.1 has no place among them.
my %hop = map { $_ => 1 } qw(connection keep-alive proxy-connection transfer-encoding upgrade http2-settings host);

sub request_fields {
    my ($scheme, $method, $target, %opt) = @_;
    my $authority = $opt{authority};
    ($scheme, $authority, $target) = ($1, $2, length $3 ? $3 : '/') if $target =~ m{^(https?)://([^/?]*)(.*)}s;
    my @h = (':method', $method);
    push @h, ':scheme', $scheme unless $method eq 'CONNECT';
    push @h, ':authority', $authority if defined $authority;
    push @h, ':path', $target unless $method eq 'CONNECT';
    my @more = map { ref $_ ? @$_ : $_ } @{ $opt{headers} || [] };
    while (my ($name, $value) = splice @more, 0, 2) {
        $value =~ s/^[ \t]+|[ \t]+$//g;
        die "$name: not in HTTP/2; if that is the point of the test, say h1 => 'why'\n" if $hop{ lc $name };
        push @h, lc $name, $value;
    }
    return @h;
}

# A new stream. Options: authority, headers (as request_fields takes them), body, chunked (the size of its DATA frames, without
# content-length), open (nothing more than the head; length => its content-length), fields (all of them, as they are).
sub request {
    my ($self, $method, $target, %opt) = @_;
    my $s = $self->stream;
    my @h = $opt{fields} ? @{ $opt{fields} } : request_fields($self->{scheme}, $method, $target, %opt);
    my $body = $opt{open} ? undef : $opt{body};
    push @h, 'content-length', $opt{length} // length $body if defined $opt{length} || defined $body && !$opt{chunked};
    $s->head(fields(@h), defined $body || $opt{open} ? 0 : END_STREAM);
    return $s unless defined $body;
    my $size = ($opt{chunked} // 0) > 1 ? $opt{chunked} : $LARGEST;
    $s->data(unpack "(a$size)*", $body);
    return $s->end;
}

sub stream {
    my $self = shift;
    my $s = bless {
        c => $self, id => $self->{next}, window => $self->{first_window}, headers => [], body => '', start => time
    }, 'MCP::HTTP2::Stream';
    $self->{next} += 2;
    Scalar::Util::weaken($self->{streams}{ $s->{id} } = $s);    # a stream keeps its connection, not the other way round
    return $s;
}

# --- receiving

# More input within the time left; false at the end. Dies when nothing comes.
sub more {
    my ($self, $deadline) = @_;
    return 0 if $self->{eof};
    my $sock = $self->{sock};
    my $left = $deadline - time;
    $sock->can('pending') && $sock->pending or IO::Select->new($sock)->can_read($left > 0 ? $left : 0)
        or die "no answer within $self->{timeout} s\n";
    my $n = sysread $sock, $self->{in}, 65536, length $self->{in};
    $self->{eof} = 1 unless $n;
    return $n;
}

# Reads one frame and acts on it; false at the end of the connection.
sub step {
    my ($self, $deadline) = @_;
    while (1) {
        my $size = length $self->{in} >= 9 ? unpack 'N', "\0$self->{in}" : undef;
        if (defined $size && length $self->{in} >= 9 + $size) {
            my ($type, $flags, $id) = unpack 'x3 CCN', substr $self->{in}, 0, 9, '';
            $self->got($type, $flags, $id & 0x7fffffff, substr $self->{in}, 0, $size, '');
            return 1;
        }
        $self->more($deadline) or return 0;
    }
}

sub got {
    my ($self, $type, $flags, $id, $payload) = @_;
    my $s = $self->{streams}{$id};
    if ($type == SETTINGS && !($flags & ACK)) {
        while (length $payload) {
            my ($name, $value) = unpack 'nN', substr $payload, 0, 6, '';
            next unless $name == 4;
            $_->{window} += $value - $self->{first_window} for grep { $_ } values %{ $self->{streams} };
            $self->{first_window} = $value;
        }
        $self->frame(SETTINGS, ACK, 0);
    }
    elsif ($type == PING && $flags & ACK) { $self->{pong} = $payload }
    elsif ($type == PING) { $self->frame(PING, ACK, 0, $payload) }
    elsif ($type == WINDOW_UPDATE) { ($id ? $s // {} : $self)->{window} += unpack 'N', $payload }
    elsif ($type == GOAWAY) { @$self{qw(goaway error)} = unpack 'NN', $payload }
    elsif ($type == RST_STREAM && $s) { $s->{reset} = unpack 'N', $payload }
    elsif ($type == HEADERS || $type == CONTINUATION) {
        $payload = unpadded($flags, $payload) if $type == HEADERS;
        $payload = substr $payload, 5 if $type == HEADERS && $flags & PRIORITY;
        $self->{block} = $type == HEADERS ? $payload : $self->{block} . $payload;
        $s->{last} = 1 if $s && $type == HEADERS && $flags & END_STREAM;
        $s->head_came(decode($self->{block})) if $s && $flags & END_HEADERS;
    }
    elsif ($type == DATA && $s) {
        $s->{body} .= unpadded($flags, $payload);
        $s->{last} = $s->{done} = 1 if $flags & END_STREAM;
    }
}

sub unpadded {
    my ($flags, $payload) = @_;
    return $payload unless $flags & PADDED;
    my $pad = ord $payload;
    return substr $payload, 1, length($payload) - 1 - $pad;
}

# True if the server ends the connection within the time, in the manner of HTTP/2 or by closing it.
sub closed {
    my ($self, $seconds) = @_;
    my $deadline = time + ($seconds // 20);
    until ($self->{eof} || defined $self->{goaway}) { last unless eval { $self->step($deadline); 1 } }
    return $self->{eof} || defined $self->{goaway} ? 1 : 0;
}

# Does the connection still work?
sub pings {
    my $self = shift;
    my $mark = pack 'NN', 0x6d637000, ++$self->{pinged};
    my $deadline = time + $self->{timeout};
    $self->frame(PING, 0, 0, $mark);
    while (($self->{pong} // '') ne $mark) { eval { $self->step($deadline) } or return 0 }
    return 1;
}

sub close { close $_[0]{sock} }

# --- RFC 7541: what our SETTINGS leave of it

my @STATIC = map { [split /=/, $_, 2] } split ' ', q(
    :authority= :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 :status=204 :status=206
    :status=304 :status=400 :status=404 :status=500 accept-charset= accept-encoding=gzip,deflate accept-language= accept-ranges=
    accept= access-control-allow-origin= age= allow= authorization= cache-control= content-disposition= content-encoding=
    content-language= content-length= content-location= content-range= content-type= cookie= date= etag= expect= expires= from= host=
    if-match= if-modified-since= if-none-match= if-range= if-unmodified-since= last-modified= link= location= max-forwards=
    proxy-authenticate= proxy-authorization= range= referer= refresh= retry-after= server= set-cookie= strict-transport-security=
    transfer-encoding= user-agent= vary= via= www-authenticate=);

# Appendix B: the symbols of each length, in order; the code is canonical.
my %LENGTHS = (
    5 => '48-50 97 99 101 105 111 115-116', 6 => '32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117',
    7 => '58 66-87 89 106-107 113 118-122', 8 => '38 42 44 59 88 90', 10 => '33-34 40-41 63', 11 => '39 43 124', 12 => '35 62',
    13 => '0 36 64 91 93 126', 14 => '94 125', 15 => '60 96 123', 19 => '92 195 208', 20 => '128 130-131 162 184 194 224 226',
    21 => '153 161 167 172 176-177 179 209 216-217 227 229-230',
    22 => '129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233',
    23 => '1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239',
    24 => '9 142 144-145 148 159 171 206 215 225 236-237', 25 => '199 207 234-235',
    26 => '192-193 200-202 205 210 213 218-219 238 240 242-243 255',
    27 => '203-204 211-212 214 221-223 241 244-248 250-254', 28 => '2-8 11-12 14-21 23-31 127 220 249', 30 => '10 13 22 256',
);
my %HUFFMAN;
{
    my ($code, $before) = (0, 0);
    for my $length (sort { $a <=> $b } keys %LENGTHS) {
        for my $range (split ' ', $LENGTHS{$length}) {
            my ($from, $to) = split /-/, $range;
            for my $symbol ($from .. $to // $from) {
                $code <<= $length - $before;
                $before = $length;
                $HUFFMAN{ sprintf '%0*b', $length, $code++ } = chr $symbol;
            }
        }
    }
}

sub unhuffman {
    my ($out, $bits) = ('', '');
    for (split //, unpack 'B*', $_[0]) {
        my $symbol = $HUFFMAN{ $bits .= $_ } // next;
        $out .= $symbol;
        $bits = '';
    }
    die "HPACK: bad padding\n" if length $bits > 7 || $bits =~ /0/;
    return $out;
}

sub take_number {
    my ($in, $bits) = @_;
    my $full = (1 << $bits) - 1;
    my $n = ord(substr $$in, 0, 1, '') & $full;
    return $n if $n < $full;
    for (my $shift = 0;; $shift += 7) {
        my $byte = ord substr $$in, 0, 1, '';
        $n += ($byte & 127) << $shift;
        return $n unless $byte & 128;
    }
}

sub take_text {
    my $in = shift;
    my $huffman = ord($$in) & 128;
    my $text = substr $$in, 0, take_number($in, 7), '';
    return $huffman ? unhuffman($text) : $text;
}

sub decode {
    my $in = shift;
    my @h;
    while (length $in) {
        my $first = ord $in;
        if ($first & 128) {
            my $n = take_number(\$in, 7);
            push @h, [@{ $STATIC[$n - 1] // die "HPACK: entry $n, but there is no table\n" }];
        }
        elsif (($first & 0xe0) == 0x20) { take_number(\$in, 5) }
        else {
            my $n = take_number(\$in, $first & 64 ? 6 : 4);
            die "HPACK: entry $n, but there is no table\n" if $n > @STATIC;
            my $name = $n ? $STATIC[$n - 1][0] : take_text(\$in);
            push @h, [$name, take_text(\$in)];
        }
    }
    return @h;
}

# --- one exchange
{
    package MCP::HTTP2::Stream;
    use Time::HiRes qw(time);

    # A block of fields, in as many frames as it takes.
    sub head {
        my ($self, $block, $flags) = @_;
        my ($first, @rest) = unpack "(a$LARGEST)*", $block;
        $self->{c}->frame(MCP::HTTP2::HEADERS, $flags | (@rest ? 0 : MCP::HTTP2::END_HEADERS), $self->{id}, $first);
        while (@rest) {
            my $next = shift @rest;
            $self->{c}->frame(MCP::HTTP2::CONTINUATION, @rest ? 0 : MCP::HTTP2::END_HEADERS, $self->{id}, $next);
        }
        return $self;
    }

    # A DATA frame for each of the texts, as soon as there is room; nothing more when the stream has ended.
    sub data {
        my ($self, @texts) = @_;
        my $c = $self->{c};
        my $deadline = time + $c->{timeout};
        for my $text (map { unpack "(a$LARGEST)*", $_ } @texts) {
            my $size = length $text;
            while ($size > $self->{window} || $size > $c->{window}) {
                last if $self->over || !$c->step($deadline);
            }
            return $self if $self->over || $c->{eof};
            $_->{window} -= $size for $self, $c;
            $c->frame(MCP::HTTP2::DATA, 0, $self->{id}, $text);
        }
        return $self;
    }

    sub end {
        my ($self, @trailers) = @_;
        return $self if $self->over;
        return $self->head(MCP::HTTP2::fields(map { $_ % 2 ? $trailers[$_] : lc $trailers[$_] } 0 .. $#trailers), MCP::HTTP2::END_STREAM)
            if @trailers;
        $self->{c}->frame(MCP::HTTP2::DATA, MCP::HTTP2::END_STREAM, $self->{id});
        return $self;
    }

    sub cut {
        my ($self, $error) = @_;
        $self->{c}->frame(MCP::HTTP2::RST_STREAM, 0, $self->{id}, pack 'N', $error // MCP::HTTP2::CANCEL);
        return $self;
    }

    sub over { my $self = shift; $self->{done} || defined $self->{reset} }

    sub head_came {
        my ($self, @h) = @_;
        my ($status) = map { $_->[1] } grep { $_->[0] eq ':status' } @h;
        @h = grep { $_->[0] !~ /^:/ } @h;
        if (!defined $status) { $self->{trailers} = \@h }
        elsif ($status < 200) { push @{ $self->{interim} }, $status }
        else {
            @$self{qw(code headers)} = ($status, \@h);
            $self->{raw_head} = join "\r\n", "HTTP/2 $status", map { "$_->[0]: $_->[1]" } @h;
        }
        $self->{done} = 1 if $self->{last};
    }

    # Reads until the condition, the end of the stream or of the connection.
    sub wait_until {
        my ($self, $condition, $seconds) = @_;
        my $deadline = time + ($seconds // $self->{c}{timeout});
        until ($condition->($self) || $self->over) { $self->{c}->step($deadline) or last }
        return $condition->($self);
    }

    # True once the body, as far as it has come, matches.
    sub shows {
        my ($self, $re, $seconds) = @_;
        return eval { $self->wait_until(sub { $self->{body} =~ $re }, $seconds) } ? 1 : 0;
    }

    # 'interim' in place of the method: the first answer, though it be 100.
    sub answer {
        my ($self, $method) = @_;
        my $early = ($method // '') eq 'interim';
        $self->wait_until(sub { $early && ($self->{interim} || $self->{code}) });
        return { code => 100, interim => 1, headers => [], body => '', raw_head => '', reason => '' } if $early && $self->{interim} && !$self->{code};
        my %r = (code => $self->{code} // 0, reason => '', raw_head => $self->{raw_head} // '', map { $_ => $self->{$_} } qw(headers body trailers));
        $r{reset} = $self->{reset} // $self->{c}{error} if !$self->{done};
        $r{seconds} = time - $self->{start};
        return \%r;
    }
}

# A stream as MCP::Stream reads event streams.
{
    package MCP::HTTP2::Reader;
    use Time::HiRes qw(time);

    sub new        { my ($class, $stream) = @_; bless { s => $stream, text => '', taken => 0 }, $class }
    sub connection { $_[0]{s}{c} }
    sub close      { $_[0]{s}{c}->close }
    sub text       { $_[0]->take->{text} }
    sub answer     { $_[0]{s}->answer($_[1]) }

    sub head {
        my ($self, $seconds) = @_;
        my $s = $self->{s};
        eval { $s->wait_until(sub { $s->{code} }, $seconds // 20) } or return undef;
        return { map({ $_ => $s->{$_} } qw(code headers raw_head)), body => '' };
    }

    sub take {
        my $self = shift;
        $self->{text} .= substr $self->{s}{body}, $self->{taken};
        $self->{taken} = length $self->{s}{body};
        return $self;
    }

    # 'ended', 'cut' or 'open'
    sub state {
        my $s = $_[0]{s};
        return $s->{done} ? 'ended' : defined $s->{reset} || $s->{c}{eof} ? 'cut' : 'open';
    }

    sub upto {
        my ($self, $re, $seconds) = @_;
        my $deadline = time + ($seconds // 20);
        while (1) {
            return $1 if $self->take->{text} =~ s/\A(.*?$re)//s;
            return undef if $self->state ne 'open' || !eval { $self->{s}{c}->step($deadline); 1 };
        }
    }

    sub end {
        my ($self, $seconds) = @_;
        my $deadline = time + ($seconds // 20);
        while ($self->state eq 'open') { last unless eval { $self->{s}{c}->step($deadline); 1 } }
        $self->take;
        return $self->state;
    }
}

1;
