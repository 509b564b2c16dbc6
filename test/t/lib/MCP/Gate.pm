package MCP::Gate;
# What the suites behind the token check share: JSON-RPC refusals, a backend nobody may reach, modern messages.
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use MCP::Test;

our @EXPORT = qw(post refused refused_rpc passes untouched no_crash bearer modern_body modern_headers modern_post $VERSION_0728 padded);

our $VERSION_0728 = '2026-07-28';
my $META = 'io.modelcontextprotocol/';

# A token for https://mcp.test/AUD with these scopes; made once.
my %tokens;
sub bearer {
    my ($aud, $scope, %claims) = @_;
    return $tokens{"$aud $scope"} //= token(aud => "https://mcp.test/$aud", scope => $scope) if defined $scope && !%claims;
    return token(aud => "https://mcp.test/$aud", defined $scope ? (scope => $scope) : (), %claims);
}

# POSTs a text as it is. Options as those of http.
sub post { my ($where, $path, $text, %opt) = @_; rpc($where, $path, \$text, undef, %opt) }

# A refusal in JSON-RPC: HTTP status, code (or a list of codes that will do), the text of the id (undef: there must be none;
# 'any': 1 or none), name. Nothing else may stand there.
sub refused_rpc {
    my ($r, $status, $codes, $id, $name) = @_;
    my @wrong;
    my $body = eval { json($r->{body}) };
    push @wrong, "status $r->{code}" if $r->{code} != $status;
    push @wrong, 'Content-Type ' . (header($r, 'Content-Type') // 'missing')
        if (header($r, 'Content-Type') // '') !~ m{^application/json\b};
    push @wrong, 'Cache-Control ' . (header($r, 'Cache-Control') // 'missing')
        if (header($r, 'Cache-Control') // '') ne 'no-store';
    if (ref $body ne 'HASH' || ref $body->{error} ne 'HASH') {
        push @wrong, "body $r->{body}";
    }
    else {
        my $code = $body->{error}{code} // 'missing';
        push @wrong, "code $code" unless grep { $code eq $_ } ref $codes ? @$codes : $codes;
        push @wrong, "RPC-10 code $code is not ours to use" unless allowed_code($code);
        push @wrong, 'jsonrpc' if ($body->{jsonrpc} // '') ne '2.0';
        push @wrong, 'no message' unless length($body->{error}{message} // '');
        push @wrong, 'no request_id' unless ref $body->{error}{data} eq 'HASH' && length($body->{error}{data}{request_id} // '');
        push @wrong, "members @{[sort keys %$body]}" if grep { !/^(?:jsonrpc|id|error)$/ } keys %$body;
        my ($got) = $r->{body} =~ /"id"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,}]+)/;
        if (($id // '') eq 'any') { push @wrong, "id $got" if defined $got && $got ne '1' }
        elsif (!defined $id) { push @wrong, "id $got" if defined $got }
        elsif (!defined $got) { push @wrong, 'no id' }
        elsif ($id =~ /^"/) { push @wrong, "id $got" unless $got =~ /^"/ && json($got) eq json($id) }
        else { push @wrong, "id $got" if $got ne $id }
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join '; ', @wrong;
    return $body;
}

# RPC-10: the codes a gateway may make by itself.
sub allowed_code {
    my $code = shift;
    return 0 unless $code =~ /^-?\d+$/;
    return 1 if $code > -32000 || $code < -32768;
    return scalar grep { $code == $_ } -32700, -32600 .. -32600, -32603 .. -32601, -32022 .. -32020;
}

# A refusal whose form does not matter here.
sub refused {
    my ($r, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @ok = ref $status ? @$status : $status;
    ok((grep { $r->{code} == $_ } @ok), $name) or diag substr "$r->{raw_head}\n$r->{body}", 0, 400;
}

# The text gets through, and the backend receives these very bytes.
sub passes {
    my ($backend, $where, $path, $text, $name, %opt) = @_;
    $backend->clear;
    my $r = post($where, $path, $text, %opt);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = $backend->requests;
    my $want = delete $opt{want} // $text;
    ok $r->{code} =~ /^20[02]$/ && @got == 1 && $got[0]{body} eq $want, $name
        or diag "status $r->{code}, ", scalar(@got), ' requests; ', substr(@got ? $got[0]{body} : $r->{body}, 0, 300);
    return ($r, $got[0]);
}

# Runs the code; the backend must not have accepted a connection meanwhile. A connection of our own comes last: whatever
# was waiting before it has been counted then.
sub untouched {
    my ($backend, $name, $code) = @_;
    $backend->clear;
    $code->();
    my $r = http($backend->{port}, GET => '/barrier');
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $n = $backend->accepts - 1;
    my @targets = grep { $_ ne '/barrier' } map { $_->{target} } $backend->requests;
    ok $r->{code} && $n == 0, "$name: no connection to the backend" or diag "$n connections: @targets";
}

# No child has died since the mark.
sub no_crash {
    my ($mark, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    unlike log_since($mark), qr/exit signal|AddressSanitizer|runtime error:|AH00051|AH00052/, $name // 'no child died';
}

# --- messages of revision 2026-07-28

# modern_body(METHOD, PARAMS, id => …, version => …, meta => {…} or undef for none)
sub modern_body {
    my ($method, $params, %opt) = @_;
    my %p = %{ $params || {} };
    my $meta = exists $opt{meta} ? $opt{meta}
        : { "${META}protocolVersion" => $opt{version} // $VERSION_0728, "${META}clientCapabilities" => {} };
    $p{_meta} = $meta if $meta;
    return rpc_body($method, \%p, exists $opt{id} ? (id => $opt{id}) : ());
}

# The headers that go with it; a value in %over replaces one, undef leaves it out, a list makes several lines.
sub modern_headers {
    my ($method, $name, %over) = @_;
    my %h = ('MCP-Protocol-Version' => $VERSION_0728, 'Mcp-Method' => $method, 'Mcp-Name' => $name);
    for my $o (keys %over) {
        delete $h{$_} for grep { lc $_ eq lc $o } keys %h;
        $h{$o} = $over{$o};
    }
    return map { my $n = $_; my $v = $h{$n}; ref $v ? map { ($n, $_) } @$v : ($n, $v) } grep { defined $h{$_} } sort keys %h;
}

my %mirrored = (
    'tools/call' => 'name', 'prompts/get' => 'name', 'resources/read' => 'uri', 'tasks/get' => 'taskId',
    'tasks/update' => 'taskId', 'tasks/cancel' => 'taskId'
);

# modern_post(VHOST, PATH, METHOD, PARAMS, headers => {…over…}, body options as above, options of http)
sub modern_post {
    my ($where, $path, $method, $params, %opt) = @_;
    my %body = map { exists $opt{$_} ? ($_ => delete $opt{$_}) : () } qw(id version meta);
    my $name = $mirrored{$method} && $params ? $params->{ $mirrored{$method} } : undef;
    my %over = %{ delete $opt{headers} || {} };
    my @headers = modern_headers($method, $name, %over);
    my $text = delete $opt{text} // modern_body($method, $params, %body);
    return post($where, $path, $text, headers => [@headers], %opt);
}

# A tools/call of exactly so many bytes.
sub padded {
    my ($bytes, $tool) = @_;
    my ($a, $b) = ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":"', '"},"name":"' . ($tool // 'ok') . '"}}');
    return $a . 'x' x ($bytes - length($a) - length $b) . $b;
}

1;
