package MCP::Stream;
# A backend whose answers a test writes step by step while it runs, and which notices when its client leaves; and the other end, a
# client that reads an event stream as it comes.
#
#   my $backend = MCP::Stream->start(port('revision_backend'));
#   $backend->answers('/p', '200 OK', ['Content-Type', 'application/json'], '{}');
#   $backend->plays('/p', head => [], send => "data: 1\n\n", wait => 'more', send => "data: 2\n\n", 'end');
#   $backend->go('more');
#   ok $backend->gone('/p', 2), 'the client has left';      # seconds to wait at most
#   $backend->sent('/p');                                   # when the writing of each "send" began
#
# Steps of plays: head => [NAME, VALUE, …] (200, an event stream, chunked), raw => BYTES, send => BYTES (one chunk), pause => SECONDS,
# wait => FLAG (until go), hold (until the client has left), end (the last chunk). A path that has neither is answered as
# MCP::Backend does. Whoever leaves during pause, wait or hold has left: nothing further is sent.
use strict;
use warnings FATAL => 'all';
use parent 'MCP::Server';
use Exporter 'import';
use File::Temp ();
use IO::Select ();
use MCP::Backend ();
use MCP::Test ();
use Storable ();
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(listen_on);

sub start {
    my ($class, $port, %opt) = @_;
    my $notes = File::Temp->newdir(TMPDIR => 1);
    return $class->SUPER::start($port, sub { act($notes, @_) }, notes => $notes, set => {}, %opt);
}

sub set {
    my ($self, $path, $what) = @_;
    $self->{set}{$path} = $what;
    Storable::nstore($self->{set}, "$self->{notes}/set.new");
    rename "$self->{notes}/set.new", "$self->{notes}/set" or die "set: $!";
    return $self;
}

sub answers { my ($self, $path, @answer) = @_; $self->set($path, { answer => \@answer }) }
sub plays   { my ($self, $path, @steps) = @_; $self->set($path, { steps => \@steps }) }
sub go      { my ($self, @flags) = @_; MCP::Test::write_file("$self->{notes}/flag.$_", '') for @flags; return $self }

# When the client of the last request for this path left; undef if it has not within the time.
sub gone { my ($self, $path, $seconds) = @_; MCP::Test::wait_for($seconds // 0, sub { ($self->times(gone => $path))[-1] }, 0.02) }
sub sent { my ($self, $path) = @_; $self->times(sent => $path) }

sub times {
    my ($self, $what, $path) = @_;
    open my $fh, '<', "$self->{notes}/$what" or return ();
    return map { /^\Q$path\E ([0-9.]+)\n\z/ ? $1 : () } <$fh>;
}

# The requests for this path so far.
sub seen { my ($self, $path) = @_; grep { $_->{path} eq $path } $self->requests }

# --- in the process of a connection

sub act {
    my ($notes, $request, $client) = @_;
    my $set = -e "$notes/set" ? Storable::retrieve("$notes/set") : {};
    my $what = $set->{ $request->{path} } or return MCP::Backend::answer($request);
    return @{ $what->{answer} } if $what->{answer};
    my @steps = @{ $what->{steps} };
    while (@steps) {
        my $step = shift @steps;
        if ($step eq 'hold' || $step eq 'wait' || $step eq 'pause') {
            my $until = $step eq 'hold' ? undef : shift @steps;
            next if rest($notes, $client, $step, $until);
            record($notes, gone => $request->{path});
            return;
        }
        if ($step eq 'end') { MCP::Backend::sse_end($client); next }
        my $text = shift @steps;
        if    ($step eq 'head') { print $client head(@$text) }
        elsif ($step eq 'raw')  { print $client $text }
        elsif ($step eq 'send') {
            record($notes, sent => $request->{path});    # before: who has read it looks here at once
            printf $client "%x\r\n%s\r\n", length $text, $text;
        }
        else                    { die "no such step: $step\n" }
    }
    return;
}

sub head {
    my @headers = @_;
    my $text = "HTTP/1.1 200 OK\r\n";
    my %have;
    while (my ($name, $value) = splice @headers, 0, 2) { $text .= "$name: $value\r\n"; $have{ lc $name } = 1 }
    $text .= "Content-Type: text/event-stream\r\n" unless $have{'content-type'};
    return "${text}Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
}

# Waits; false when the client has left before.
sub rest {
    my ($notes, $client, $step, $until) = @_;
    my $deadline = time + ($step eq 'pause' ? $until : 60);
    while (time < $deadline) {
        return 1 if $step eq 'wait' && -e "$notes/flag.$until";
        IO::Select->new($client)->can_read(0.01) or next;
        sysread $client, my $more, 4096 or return 0;
    }
    return 1;
}

sub record {
    my ($notes, $what, $path) = @_;
    open my $fh, '>>', "$notes/$what" or die "$notes/$what: $!";
    syswrite $fh, "$path " . time . "\n" or die "$notes/$what: $!";    # short, so in one piece
    close $fh;
}

# --- the client

# Sends a request and gives an object to read the answer with: listen_on(VHOST, VERB, PATH, options of http).
sub listen_on {
    my ($where, $verb, $path, %opt) = @_;
    my $c = MCP::Test::send_request($where, $verb => $path, %opt, keep => 1);
    return MCP::HTTP2::Reader->new($c) if $c->isa('MCP::HTTP2::Stream');
    return bless { c => $c, text => '', left => 0 }, 'MCP::Stream::Reader';
}

{
    package MCP::Stream::Reader;
    use Time::HiRes qw(time);

    sub connection { $_[0]{c} }
    sub close      { $_[0]{c}->close }

    # The whole answer, in place of all that follows.
    sub answer { $_[0]{c}->answer($_[1]) }

    # { code, headers } of the answer; undef if none comes within the time.
    sub head {
        my ($self, $seconds) = @_;
        my $head = eval { $self->{c}->upto(qr/\r\n\r\n/, time + ($seconds // 20)) } // return undef;
        my ($line, @lines) = split /\r\n/, $head;
        my ($code) = $line =~ m{^HTTP/1\.1 (\d+)} or die "no status line: $line\n";
        return $self->{head} = { code => $code, headers => [map { [/^([^:]*):\s*(.*?)\s*$/s] } @lines], raw_head => $head, body => '' };
    }

    # What has come so far joins the text, without the frames of its chunks.
    sub unframe {
        my $self = shift;
        my $in = \$self->{c}{in};
        while (!$self->{ended} && length $$in) {
            if (!$self->{left}) {
                $$in =~ s/\A([0-9a-f]+)[^\r\n]*\r\n//i or return;
                $self->{left} = hex $1;
                if (!$self->{left}) { $self->{left} = -2; $self->{last} = 1 }
            }
            if ($self->{left} > 0) {
                my $part = substr $$in, 0, $self->{left}, '';
                $self->{text} .= $part;
                $self->{left} = -2 unless $self->{left} -= length $part;
            }
            if ($self->{left} == -2) {
                $$in =~ s/\A\r\n// or return;
                $self->{left} = 0;
                $self->{ended} = 1 if $self->{last};
            }
        }
    }

    # The text up to what matches, that included, of the body; undef if it does not come within the time.
    sub upto {
        my ($self, $re, $seconds) = @_;
        my $deadline = time + ($seconds // 20);
        return undef unless $self->{head} || $self->head($seconds);
        while (1) {
            $self->unframe;
            return $1 if $self->{text} =~ s/\A(.*?$re)//s;
            return undef if $self->{ended} || $self->{cut};
            my $n = eval { $self->{c}->more($deadline) } // return undef;
            $self->{cut} = 1 unless $n;
        }
    }

    # Waits for the end of the answer: 'ended' with its last chunk, 'cut' without, 'open' when it has not come within the time.
    # What came meanwhile is in the text.
    sub end {
        my ($self, $seconds) = @_;
        my $deadline = time + ($seconds // 20);
        return 'open' unless $self->{head} || $self->head($seconds);
        while (1) {
            $self->unframe;
            return 'ended' if $self->{ended};
            return 'cut' if $self->{cut};
            my $n = eval { $self->{c}->more($deadline) } // return 'open';
            $self->{cut} = 1 unless $n;
        }
    }

    sub text { $_[0]{text} }
}

1;
