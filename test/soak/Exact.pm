package Exact;
# One client that sends good requests of many shapes and compares every byte of the answers.
#
#   my $e = Exact->start(port => P, tokens => FILE, rate => 30);    # FILE as for Hostile
#   my $result = $e->stop;      # { good => n, shapes => { name => n }, bad => [[time, text], ...] }
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256_hex);
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time sleep);

my ($PORT, $FILE, $known, $read_at, $ended, $sock);
my $serial = 0;

sub rpc {
    my ($method, $params, $id) = @_;
    return '{"jsonrpc":"2.0",' . (defined $id ? qq("id":$id,) : '') . qq("method":"$method") . (defined $params ? qq(,"params":$params) : '') . '}';
}
sub add { my ($arguments, $id) = @_; rpc('tools/call', qq({"name":"add","arguments":$arguments}), $id) }
sub keys_of { my $n = shift; '{' . join(',', map { qq("k$_":$_) } 1 .. $n) . '}' }

# name => [body, the text of the id, further headers or 'chunked']
my %SHAPES = (
    'number'       => sub { my $id = ++$serial; [add('{"a":1}', $id), $id] },
    'text id'      => sub { my $id = '"r-' . ++$serial . '"'; [add('{"a":1}', $id), $id] },
    'escapes'      => sub { my $id = ++$serial; [add('{"a":"\u00e9\u4e2d\ud83d\ude00 \\\\ \" \/ \b"}', $id), $id] },
    'UTF-8'        => sub { my $id = ++$serial; [add(qq({"\xc3\xa9":"\xe4\xb8\xad\xf0\x9f\x98\x80"}), $id), $id] },
    'white space'  => sub { my $id = ++$serial; [" \r\n\t" . add("{ \"a\" :\t[ 1 , 2 ] }\n", $id) . "\n\n", $id] },
    'numbers'      => sub { my $id = ++$serial; [add('{"a":[0,-0,1.50,1e3,-2.5E-7,123456789012345678901234567890]}', $id), $id] },
    'keys'         => sub { my $id = ++$serial; [add(keys_of(2000), $id), $id] },
    'long'         => sub { my $id = ++$serial; [add('{"a":"' . 'x' x (20_000 + int rand 200_000) . '"}', $id), $id] },
    'chunked'      => sub { my $id = ++$serial; [add('{"a":"' . 'y' x int(rand 3000) . '"}', $id), $id, 'chunked'] },
    '100-continue' => sub { my $id = ++$serial; [add('{"a":1}', $id), $id, 'Expect: 100-continue'] },
    'list'         => sub { my $id = ++$serial; [rpc('tools/list', undef, $id), $id] },
    'initialize'   => sub { my $id = ++$serial; [rpc('initialize', '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"soak","version":"1"}}', $id), $id] },
    'notification' => sub { [rpc('notifications/initialized'), undef] },
    'GET'          => sub { [undef, undef] },
);

sub start {
    my ($class, %o) = @_;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_} = 'DEFAULT' for qw(INT HUP __DIE__);
        $SIG{TERM} = sub { $ended = 1 };
        ($PORT, $FILE) = @o{qw(port tokens)};
        eval { work($o{rate}, "$o{dir}/exact.json"); 1 } or print STDERR "exact: $@";
        POSIX::_exit(0);
    }
    return bless { pid => $pid, owner => $$, dir => $o{dir} }, $class;
}

sub stop {
    my $self = shift;
    kill TERM => $self->{pid};
    waitpid delete $self->{pid}, 0;
    open my $fh, '<', "$self->{dir}/exact.json" or die "exact.json: $!\n";
    local $/;
    return JSON::PP::decode_json(<$fh>);
}

sub DESTROY {
    my $self = shift;
    return unless $$ == $self->{owner} && $self->{pid};
    local ($?, $@);
    kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}

sub work {
    my ($rate, $file) = @_;
    my %result = (good => 0, shapes => {}, bad => []);
    while (!$ended && getppid != 1) {
        for my $name (sort { rand() <=> 0.5 } keys %SHAPES) {
            last if $ended;
            my $wrong = try($name);
            if (defined $wrong) { push @{ $result{bad} }, [time, "$name: $wrong"] if @{ $result{bad} } < 1000 }
            else                { $result{good}++; $result{shapes}{$name}++ }
            sleep 1 / $rate unless $ended;
        }
    }
    open my $fh, '>', $file or die "$file: $!";
    print $fh JSON::PP::encode_json(\%result);
    close $fh;
}

sub token {
    if (!$known || time - $read_at > 0.3) {
        open my $fh, '<', $FILE or die "$FILE: $!";
        local $/;
        ($known, $read_at) = (JSON::PP::decode_json(<$fh>), time);
    }
    return $known->{good}[rand @{ $known->{good} }];
}

# What is wrong with the answer; undef if nothing is. A kept connection that ended meanwhile is replaced once.
sub try {
    my $name = shift;
    my ($body, $id, $more) = @{ $SHAPES{$name}->() };
    my $text = (defined $body ? 'POST' : 'GET') . " /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " . token() . "\r\nX-Digest: 1\r\n";
    $text .= "Content-Type: application/json\r\n" if defined $body;
    if (!defined $body) { $text .= "\r\n" }
    elsif (($more // '') eq 'chunked') {
        $text .= "Transfer-Encoding: chunked\r\n\r\n";
        for (my $at = 0; $at < length $body;) {
            my $n = 1 + int rand 500;
            my $piece = substr $body, $at, $n;
            $text .= sprintf "%x\r\n%s\r\n", length $piece, $piece;
            $at += $n;
        }
        $text .= "0\r\n\r\n";
    }
    else { $text .= 'Content-Length: ' . length($body) . "\r\n" . (defined $more ? "$more\r\n" : '') . "\r\n$body" }

    my ($head, $got);
    for my $again (0, 1) {
        my $fresh = !$sock;
        $sock //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $PORT, Timeout => 10) or return "connect: $!";
        $sock->autoflush(1);
        binmode $sock;
        local $SIG{ALRM} = sub { die "no answer in time\n" };
        alarm 20;
        my $sent = eval { print $sock $text; ($head, $got) = read_answer(); 1 };
        alarm 0;
        return "no answer in time" unless $sent;
        last if length $head;
        undef $sock;
        return 'closed' if $fresh || $again;
    }
    undef $sock if $head =~ /^Connection: close/mi;
    my ($code) = $head =~ m{^HTTP/1\.1 (\d+)};
    my $want = defined $id ? qq({"jsonrpc":"2.0","id":$id,"result":{}}) : defined $body ? '' : '{"backend":true}';
    my $digest = sha256_hex($body // '');
    return "status $code" unless $code == (defined $id || !defined $body ? 200 : 202);
    return "body $got" unless $got eq $want;
    return 'the MCP server got another body' unless $head =~ /^X-Digest: $digest\r?$/m;
    return undef;
}

sub read_answer {
    my $head = '';
    while (defined(my $line = readline $sock)) {
        $head .= $line;
        next unless $line eq "\r\n";
        last unless $head =~ m{\AHTTP/1\.1 100 };
        $head = '';
    }
    return ('', '') unless $head =~ /\r\n\r\n\z/;
    my ($length) = $head =~ /^Content-Length: (\d+)/mi;
    my $got = '';
    read $sock, $got, $length if $length;
    return ($head, $got);
}

1;
