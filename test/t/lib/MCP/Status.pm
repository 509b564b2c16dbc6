package MCP::Status;
# The status pages as a test reads them: numbers before and after, Prometheus's text format to the letter, HTML without surprises.
#
#   counted(status => { 'counts deny token-expired' => 1 }, sub { … }, 'O03 …');    # exactly that, and nothing else
#   my $json = report('status');                            # the decoded JSON of /status
#   my ($metrics, @faults) = prometheus($text);             # a strict reading; $metrics is for sample and samples
#   sample($metrics, 'mcp_oauth_keys', issuer => 'https://as.test');
#   is_deeply [page_faults($html)], [], 'O01 …';
# The virtual host or port that is asked has the handler at /status.
use strict;
use warnings FATAL => 'all';
use Encode ();
use Exporter 'import';
use File::Temp ();
use MCP::Test;

our @EXPORT = qw(report tallies counted counted_in_all prometheus sample samples promtool page_faults leaks is_number rfc3339);

my @DECISIONS = qw(allow deny shadow_deny preflight);
my $RESOURCE = 'https://mcp.test/';

sub report {
    my ($where, $path) = @_;
    my $r = http($where, GET => ($path // '/status') . '?json');
    die "status: $r->{code} $r->{body}\n" unless $r->{code} == 200;
    return json($r->{body});
}

# "RESOURCE DECISION" and "RESOURCE slug" => count, the totals under "*". Slugs of what was let pass are left out.
sub tallies {
    my $report = shift;
    my %t;
    $t{"* $_"} = $report->{requests}{$_} for @DECISIONS;
    for my $row (@{ $report->{resources} }) {
        (my $name = $row->{resource}) =~ s/^\Q$RESOURCE\E//;
        $t{"$name $_"} += $row->{$_} for @DECISIONS;
        $t{"$name $_"} += $row->{reasons}{$_} for grep { !/^(?:ok|preflight|shadow-deny)$/ } keys %{ $row->{reasons} || {} };
    }
    return \%t;
}

my %first;    # of each server: what it had when it was asked first
my %sum;      # and what was to come since then

# Runs the code. What the server has counted then, and nothing else, is { 'RESOURCE DECISION [slug]' => n }; RESOURCE is the part
# behind https://mcp.test/. The count of a request may come a moment later than its answer.
sub counted {
    my ($where, $want, $code, $name, %opt) = @_;
    my %want;
    for (keys %$want) {
        my ($resource, $decision, $slug) = split ' ';
        $want{$_} += $want->{"$resource $decision" . ($slug ? " $slug" : '')} for "$resource $decision", "* $decision", $slug ? "$resource $slug" : ();
    }
    my $before = tallies(report($where));
    $first{$where} //= $before;
    $sum{$where}{$_} += $want{$_} for keys %want;
    $code->();
    my $got;
    wait_for($opt{seconds} // 30, sub { $got = change($before, tallies(report($where))); same($got, \%want) });
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply($got, \%want, $name);
}

# The same since the first counted: what came late, or twice.
sub counted_in_all {
    my ($where, $name) = @_;
    my $got;
    wait_for(30, sub { $got = change($first{$where}, tallies(report($where))); same($got, $sum{$where}) });
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply($got, $sum{$where}, $name);
}

sub change {
    my ($before, $after) = @_;
    my %d;
    $d{$_} = ($after->{$_} // 0) - ($before->{$_} // 0) for keys %$before, keys %$after;
    delete $d{$_} for grep { !$d{$_} } keys %d;
    return \%d;
}

sub same { my ($x, $y) = @_; keys %$x == keys %$y && !grep { !defined $y->{$_} || $x->{$_} != $y->{$_} } keys %$x }

# --- Prometheus's text exposition format, version 0.0.4

my $NAME  = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $LABEL = qr/[a-zA-Z_][a-zA-Z0-9_]*/;
my $FLOAT = qr/[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN/;

# ({ types => { family => type }, samples => [{ name, labels => {}, value, family }] }, faults…)
sub prometheus {
    my $text = shift;
    my %m = (types => {}, samples => []);
    my (@faults, %helped, %seen, %closed, $open);
    push @faults, 'not UTF-8' unless eval { Encode::decode('UTF-8', my $copy = $text, Encode::FB_CROAK()); 1 };
    push @faults, 'no line end at the end' unless $text =~ /\n\z/;
    push @faults, 'control bytes' if $text =~ /[\x00-\x09\x0b-\x1f\x7f]/;
    for my $line (split /\n/, $text) {
        next if $line eq '';
        if ($line =~ /^#/) {
            if ($line =~ /^# HELP ($NAME) ((?:[^\\]|\\[\\n])*)$/) {
                push @faults, "HELP twice: $1" if $helped{$1}++;
                push @faults, "HELP behind samples: $1" if $closed{$1} || ($open // '') eq $1 && grep { $_->{family} eq $1 } @{ $m{samples} };
            }
            elsif ($line =~ /^# TYPE ($NAME) (counter|gauge|histogram|summary|untyped)$/) {
                push @faults, "TYPE twice: $1" if $m{types}{$1};
                $m{types}{$1} = $2;
                $closed{$open} = 1 if defined $open && $open ne $1;
                $open = $1;
            }
            elsif ($line =~ /^#\s*(?:HELP|TYPE)\b/) { push @faults, $line }
            next;
        }
        my ($name, $labels, $value) = $line =~ /^($NAME)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? +($FLOAT)(?: +-?\d+)?$/
            or push(@faults, "no sample: $line"), next;
        my (%labels, $rest);
        $rest = $labels // '';
        while ($rest =~ s/^($LABEL)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)//) {
            push @faults, "label $1 twice: $line" if exists $labels{$1};
            push @faults, "label $1 is reserved: $line" if $1 =~ /^__/;
            my ($n, $v) = ($1, $2);
            $v =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
            $labels{$n} = $v;
        }
        push @faults, "labels: $line" if length $rest;
        my $family = family($name, $m{types});
        push @faults, "no TYPE before: $line" unless defined $family;
        $family //= $name;
        push @faults, "the samples of $family are not together: $line" if $closed{$family} || defined $open && $open ne $family;
        $open = $family;
        push @faults, "twice: $name " . json_text(\%labels) if $seen{"$name " . json_text(\%labels)}++;
        push @{ $m{samples} }, { name => $name, labels => \%labels, value => $value, family => $family };
    }
    for my $family (sort keys %{ $m{types} }) {
        my $type = $m{types}{$family};
        push @faults, "no HELP: $family" unless $helped{$family};
        my @of = grep { $_->{family} eq $family } @{ $m{samples} };
        push @faults, "$family is a counter: _total" if $type eq 'counter' && $family !~ /_total$/;
        push @faults, "$family is no counter: _total" if $type ne 'counter' && $family =~ /_total$/;
        push @faults, "$family: $_->{value}" for grep { $type eq 'counter' && $_->{value} !~ /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i } @of;
        push @faults, histogram_faults($family, @of) if $type eq 'histogram';
    }
    return (\%m, @faults);
}

sub family {
    my ($name, $types) = @_;
    return $name if $types->{$name};
    (my $base = $name) =~ s/_(?:bucket|sum|count)$//;
    return ($types->{$base} // '') eq 'histogram' ? $base : undef;
}

sub histogram_faults {
    my ($family, @of) = @_;
    my (%series, @faults);
    for (@of) {
        my %l = %{ $_->{labels} };
        my $le = delete $l{le};
        my $s = $series{ json_text(\%l) } //= { buckets => [] };
        if ($_->{name} eq "${family}_bucket") {
            push @faults, "$family: a bucket without le" unless defined $le;
            push @{ $s->{buckets} }, [$le // '', $_->{value}];
        }
        else { $s->{ ($_->{name} =~ /_(sum|count)$/)[0] // 'odd' } = $_->{value} }
    }
    for my $key (sort keys %series) {
        my $s = $series{$key};
        my @b = @{ $s->{buckets} };
        push @faults, "$family $key: $_ missing" for grep { !defined $s->{$_} } qw(sum count);
        push @faults, "$family $key: a sample that is none of a histogram" if exists $s->{odd};
        push @faults, "$family $key: no +Inf at the end" if !@b || $b[-1][0] ne '+Inf';
        push @faults, "$family $key: +Inf is not the count" if @b && defined $s->{count} && $b[-1][1] != $s->{count};
        for (1 .. $#b) {
            push @faults, "$family $key: le $b[$_][0] behind $b[$_ - 1][0]" if $b[$_][0] ne '+Inf' && $b[$_][0] <= $b[ $_ - 1 ][0];
            push @faults, "$family $key: le $b[$_][0] is less than the one before" if $b[$_][1] < $b[ $_ - 1 ][1];
        }
    }
    return @faults;
}

# The samples of that name with at least these labels; the value of the only one.
sub samples {
    my ($m, $name, %labels) = @_;
    return grep {
        my $l = $_->{labels};
        $_->{name} eq $name && !grep { !defined $l->{$_} || $l->{$_} ne $labels{$_} } keys %labels
    } @{ $m->{samples} };
}
sub sample { my @found = samples(@_); @found == 1 ? $found[0]{value} : undef }

# What promtool says, if there is one: undef without, '' when it is content.
sub promtool {
    my $text = shift;
    my ($tool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH} // '';
    return undef unless $tool;
    my $file = File::Temp->new;
    binmode $file;
    print $file $text;
    close $file;
    my $said = qx($tool check metrics < $file 2>&1);
    return $? || length $said ? "$said (exit $?)" : '';
}

# --- HTML

my %VOID = map { $_ => 1 } qw(!doctype meta link br hr img input col);

# What a page for a browser must not have: elements that run or load, attributes that do, a character reference that is none,
# control bytes, elements that do not end.
sub page_faults {
    my $html = shift;
    my (@faults, @open);
    push @faults, 'not UTF-8' unless eval { Encode::decode('UTF-8', my $copy = $html, Encode::FB_CROAK()); 1 };
    push @faults, 'control bytes' if $html =~ /[\x00-\x08\x0b-\x1f\x7f]/;
    while ($html =~ /\G(?:<([^<>]*)>|([^<]+)|(<))/gs) {
        my ($tag, $text, $stray) = ($1, $2, $3);
        if (defined $stray) { push @faults, 'a stray <: ' . substr $html, pos($html) - 1, 60 }
        elsif (defined $text) {
            if (@open && $open[-1] =~ /^(?:style)$/) { next }
            push @faults, "text $1" while $text =~ /(>.{0,30})/gs;
            push @faults, "reference $1" while $text =~ /(&(?!(?:amp|lt|gt|quot|nbsp|middot|#\d+|#x[0-9a-fA-F]+|[a-z]+);).{0,20})/gs;
        }
        elsif ($tag =~ m{^/\s*([a-z0-9]+)\s*$}i) {
            my $was = pop @open // 'nothing';
            push @faults, "</$1> ends $was" if $was ne lc $1;
        }
        elsif ($tag =~ m{^(!?[a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*"|='[^']*'|=[a-z0-9#%-]+)?)*)\s*/?$}i or $tag =~ /^(!doctype)( html\b.*)$/is) {
            my ($name, $attributes) = (lc $1, $2);
            push @faults, "<$tag>" if $name =~ /^(?:script|iframe|object|embed|img|base|form|svg)$/;
            push @faults, "<$tag>" if $attributes =~ /\bon[a-z]+\s*=|javascript:/i;
            push @open, $name unless $VOID{$name} || $tag =~ m{/$};
        }
        elsif ($tag !~ /^!--.*--$/s) { push @faults, "<$tag>" }
    }
    push @faults, "not ended: @open" if @open;
    return @faults;
}

# --- what no page and no log may have: a token of this run, or the text of a key. Further texts may be given.
sub leaks {
    my ($text, @more) = @_;
    my @parts = grep { defined && length >= 24 } map { (split /\./)[1, 2] } grep { /\S/ } split /\n/, slurp(made('minted'));
    my @found = grep { index($text, $_) >= 0 } @more, map { substr $_, 0, 40 } grep { defined } @parts;
    push @found, $& if $text =~ /"(?:n|x|y|e|k|d)"\s*:\s*"|-----BEGIN|eyJ[A-Za-z0-9_-]{20}/;
    return @found;
}

# A JSON number, not a text that looks like one.
sub is_number { my $text = json_text($_[0]); $text =~ /^-?\d/ ? 1 : 0 }
sub rfc3339 { defined $_[0] && $_[0] =~ /^\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-6]\d(?:\.\d+)?(?:Z|\+00:00)$/ ? 1 : 0 }

1;
