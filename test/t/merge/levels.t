# Every directive at every level: server, virtual host over it, location over that, location inside, and a location further
# inside that says nothing about it. Design 3.1, 3.2; each by what it does to requests. An httpd of its own, because settings
# of the server itself would reach every other suite.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::AuthServer ();
use MCP::Backend ();
use MCP::Introspection ();
use MCP::Test;
use POSIX ();
use Time::HiRes qw(sleep);

my $port = port('merge_httpd');
my $tls  = port('merge_tls');
my $root = vars('serverroot');
# A GET that accepts event streams gets one of two events, four seconds apart.
my $backend = MCP::Backend->start(port('merge_backend'), sub {
    my ($request, $client) = @_;
    return MCP::Backend::answer($request) unless ($request->{headers}{accept} // '') eq 'text/event-stream';
    MCP::Backend::sse($client, { event => 1 });
    sleep 4;
    MCP::Backend::sse_more($client, { event => 2 });
    MCP::Backend::sse_end($client);
    return;
});
my $as    = MCP::Introspection->start(port('merge_as'));
my $proxy = MCP::AuthServer->start(port('merge_proxy'));

# --- an httpd of its own -----------------------------------------------------------------------------

{
    package Httpd;
    sub start {
        my ($class, $name, $text) = @_;
        my $self = bless { owner => $$, log => "$root/logs/$name.log" }, $class;
        MCP::Test::write_file("$root/conf/$name.conf", <<"END" . $text);
ServerRoot "$root"
DefaultRuntimeDir "$root/logs"
PidFile "$root/logs/$name.pid"
ErrorLog "$self->{log}"
LogLevel info
Include "$root/../modules.conf"
User @{[MCP::Test::vars('user')]}
Group @{[MCP::Test::vars('group')]}
Listen 127.0.0.1:$port
TypesConfig /dev/null
StartServers 1
<IfModule mpm_event_module>
    ServerLimit 1
    ThreadsPerChild 8
    MaxRequestWorkers 8
    MinSpareThreads 1
    MaxSpareThreads 8
</IfModule>
<IfModule mpm_worker_module>
    ServerLimit 1
    ThreadsPerChild 8
    MaxRequestWorkers 8
    MinSpareThreads 1
    MaxSpareThreads 8
</IfModule>
<IfModule mpm_prefork_module>
    MinSpareServers 1
    MaxSpareServers 1
    MaxRequestWorkers 1
</IfModule>
KeepAlive Off
DocumentRoot "$root/htdocs"
END
        defined(my $pid = fork) or die "fork: $!";
        if (!$pid) {
            POSIX::setsid();    # httpd signals its whole process group when it stops
            open STDOUT, '>', "$self->{log}.out";
            open STDERR, '>&', \*STDOUT;
            { exec MCP::Test::vars('httpd'), '-f', "$root/conf/$name.conf", '-DFOREGROUND' }
            POSIX::_exit(1);
        }
        $self->{pid} = $pid;
        my $up = MCP::Test::wait_for(30, sub {
            IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) || waitpid($pid, POSIX::WNOHANG()) == $pid;
        });
        if (!$up || !kill 0, $pid) {
            delete $self->{pid};
            die "httpd does not start:\n" . join '', map { -e $_ ? MCP::Test::slurp($_) : '' } "$self->{log}.out", $self->{log};
        }
        return $self;
    }

    sub DESTROY {
        my $self = shift;
        local ($?, $@);
        return unless $self->{pid} && $$ == $self->{owner};
        kill TERM => $self->{pid};
        waitpid $self->{pid}, 0;
    }
}

# --- what requests show --------------------------------------------------------------------------------

# The token that satisfies everything the server asks for; undef removes a claim.
sub normal {
    my %change = @_;
    return token(
        iss => 'https://a.test', aud => 'https://aud.test/a/deep', client_id => 'client-a', scope => undef, sc_a => 'need-a',
        al_a => 'role-a', acr => 'acr-a', auth_time => now() - 1, c1 => 'v', c2 => 'v', c3 => 'v', c4 => 'v', login_a => 'ann', login_b => 'bob', map({ ("f$_" => 'x') } 1 .. 4), %change
    );
}

sub ask {
    my ($host, $path, %opt) = @_;
    my $token = exists $opt{bearer} ? $opt{bearer} : normal();
    my @h = defined $token ? ($opt{field} // 'X-Tok-A', "Bearer $token") : ();
    push @h, 'Content-Type', $opt{type} // 'application/json', 'Accept', 'application/json, text/event-stream' if defined $opt{body};
    return http($port, $opt{verb} // (defined $opt{body} ? 'POST' : 'GET'), $path, host => $host,
        headers => [@h, @{ $opt{headers} || [] }], body => $opt{body});
}
sub code { ask(@_)->{code} }

# Which of the variants get 200: their names, joined.
sub which {
    my ($host, $path, %variant) = @_;
    return join '', grep { code($host, $path, @{ $variant{$_} }) == 200 } sort keys %variant;
}
sub said { my ($host, $path) = @_; return { challenge(ask($host, $path, bearer => undef)) } }
sub schemes { my ($host, $path) = @_; join ' ', map { /^(\S+)/ } headers(ask($host, $path, bearer => undef), 'WWW-Authenticate') }
sub document {
    my ($host, $path) = @_;
    my ($where) = (said($host, $path)->{resource_metadata} // '') =~ m{^https://[^/]+(/.*)$} or return {};
    return eval { json(http($port, GET => $where, host => $host)->{body}) } || {};
}
sub seen {    # the headers that the backend got
    my ($host, $path, %opt) = @_;
    $backend->clear;
    ask($host, $path, %opt);
    my ($request) = $backend->requests;
    return $request ? $request->{headers} : {};
}
sub nested { my $depth = shift; my $n = $depth - 2; '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' . '[' x $n . ']' x $n . '}}' }
sub letter { my ($got, $a, $b) = @_; $got //= ''; return $got eq $a ? 'A' : $got eq $b ? 'B' : $got }

my $on = "McpOAuthInspect On\n    McpOAuthACL On";

# [directive, [values at server, virtual host, location, inside], probe, settings of the virtual host besides].
# A list of two values: server A, virtual host B, location A, inside B; each replaces the one before.
# A list of four: lines that add up; the probe tells which are in effect.
my @directives = (
    ['McpOAuthIssuer', ['https://a.test', 'https://b.test'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(iss => 'https://b.test')]) }],
    ['McpOAuthResource', ['https://mcp.test/a', 'https://mcp.test/b'],
        sub { letter(said(@_)->{resource_metadata} =~ m{^https://mcp\.test/.*/([ab])$}, 'a', 'b') }],
    ['McpOAuthAudience', ['https://aud.test/a/deep', 'https://aud.test/b/deep'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(aud => 'https://aud.test/b/deep')]) }],
    ['McpOAuthAudienceMatch', ['hierarchical', 'exact'],
        sub { letter(code(@_, bearer => normal(aud => 'https://aud.test/a')), 200, 401) }],
    ['McpOAuthAuthorizedParty', ['client-a', 'client-b'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(client_id => 'client-b')]) }],
    ['McpOAuthRequireScope', ['need-a', 'need-b'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(sc_a => 'need-b')]) }],
    ['McpOAuthScopesSupported', ['adv-a', 'adv-b'],
        sub { letter(join(' ', @{ document(@_)->{scopes_supported} || [] }), 'adv-a', 'adv-b') }, 'resource'],
    ['McpOAuthChallengeScope', ['ask-a', 'ask-b'], sub { letter(said(@_)->{scope}, 'ask-a', 'ask-b') }],
    ['McpOAuthMetadataPath', ['/.well-known/a', '/.well-known/b'],
        sub { letter(said(@_)->{resource_metadata} =~ m{/\.well-known/([ab])/}, 'a', 'b') }],
    ['McpOAuthTokenHeader', ['X-Tok-A', 'X-Tok-B'], sub { which(@_, A => [field => 'X-Tok-A'], B => [field => 'X-Tok-B']) }],
    ['McpOAuthForwardToken', ['On', 'Off'], sub { seen(@_)->{'x-tok-a'} ? 'A' : 'B' }],
    ['McpOAuthRemoteUser', ['login_a', 'login_b'], sub { letter(header(ask(@_), 'X-User'), 'ann', 'bob') }],
    ['McpOAuthOrigin', ['https://a.origin.test', 'https://b.origin.test'],
        sub { which(@_, map { uc $_ => [headers => [Origin => "https://$_.origin.test"]] } qw(a b)) }],
    ['McpOAuthInspect', ['Off', 'On'], sub { letter(code(@_, body => 'text', type => 'text/plain'), 200, 415) }],
    ['McpOAuthMaxBody', ['2000', '4000'],
        sub { letter(code(@_, body => rpc_body('ping', { x => 'x' x 3000 })), 413, 200) }, 'McpOAuthInspect On'],
    ['McpOAuthMaxDepth', ['8', '16'], sub { letter(code(@_, body => nested(12)), 400, 200) }, 'McpOAuthInspect On'],
    ['McpOAuthBatch', ['On', 'Off'], sub { letter(code(@_, body => '[' . rpc_body('ping') . ']'), 200, 400) }, 'McpOAuthInspect On'],
    ['McpOAuthFilterLists', ['On', 'Off'],
        sub { seen(@_, body => rpc_body('tools/list'), headers => ['Accept-Encoding', 'gzip'])->{'accept-encoding'} ? 'B' : 'A' }, $on],
    # A token that the clock skew of 60 s lets live for a little more than a second.
    ['McpOAuthStreamExpiry', ['On', 'Off'],
        sub { my ($r, @at) = (undef, @_);
            for (1 .. 5) {    # on a busy machine it may have died on the way, or both have come at once: its end and the event
                $r = ask(@at, bearer => normal(exp => now() - 58), headers => [Accept => 'text/event-stream']);
                last if $r->{code} != 401 && $r->{seconds} < 5.5;
            }
            $r->{code} == 200 && $r->{body} =~ /"event":1/ ? $r->{body} =~ /"event":2/ ? 'B' : 'A' : $r->{code} }],
    ['McpOAuthSessionBinding', ['On', 'Off'], sub { letter(code(@_, headers => ['Mcp-Session-Id', 'x']), 404, 200) }],
    ['McpOAuthDPoP', ['Off', 'Required'], sub { letter(schemes(@_) . ' ' . code(@_), 'Bearer 200', 'DPoP 401') }],
    ['McpOAuthDPoPNonce', ['On', 'Off'],
        sub { length(header(ask(@_, bearer => undef), 'DPoP-Nonce') // '') ? 'A' : schemes(@_) eq 'Bearer DPoP' ? 'B' : '' }, 'McpOAuthDPoP Optional'],
    ['McpOAuthRequireACR', ['acr-a', 'acr-b'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(acr => 'acr-b')]) }],
    ['McpOAuthMaxAuthAge', ['10h', '1h'], sub { letter(code(@_, bearer => normal(auth_time => now() - 7200)), 200, 401) }],
    ['McpOAuthScopeClaim', ['sc_a', 'sc_b'],
        sub { which(@_, A => [bearer => normal()], B => [bearer => normal(sc_a => undef, sc_b => 'need-a')]) }],
    ['McpOAuthACLClaim', ['al_a', 'al_b'],
        sub { which(@_, A => [bearer => normal(), body => rpc_body('logging/setLevel', {})],
            B => [bearer => normal(al_a => undef, al_b => 'role-a'), body => rpc_body('logging/setLevel', {})]) }, $on],
    # lines that add up
    ['McpOAuthRequireClaim', ['c1 v', 'c2 v', 'c3 v', 'c4 v'],
        sub { my @at = @_; join '', grep { code(@at, bearer => normal("c$_" => undef)) == 403 } 1 .. 4 }],
    ['McpOAuthMetadata', ['m1 x', 'm2 x', 'm3 x', 'm4 x'],
        sub { my $d = document(@_); join '', grep { defined $d->{"m$_"} } 1 .. 4 }, 'resource'],
    ['McpOAuthForwardClaim', ['f1 X-F1', 'f2 X-F2', 'f3 X-F3', 'f4 X-F4'],
        sub { my $h = seen(@_); join '', grep { defined $h->{"x-f$_"} } 1 .. 4 }],
    ['McpOAuthAllow', ['* tools/list', '* prompts/list', '* resources/list', '* resources/templates/list'],
        sub { my @at = @_; my $i = 0;
            join '', map { $i++; code(@at, body => rpc_body($_)) == 200 ? $i : () } qw(tools/list prompts/list resources/list resources/templates/list) }, $on],
    ['McpOAuthImplies', ['big small1', 'big small2', 'big small3', 'big small4'],
        sub { my @at = @_; join '', grep { code(@at, bearer => normal(al_a => 'big'), body => rpc_body('tools/call', { name => "t$_", arguments => {} })) == 200 } 1 .. 4 }, $on],
);
my %done = map { $_->[0] => 1 } @directives;

# --- the configuration of all that ----------------------------------------------------------------------

sub location { my ($path, @lines) = @_; return "<Location \"$path\">\n" . join('', map { "    $_\n" } grep { length } @lines) . "</Location>\n" }

# One virtual host without the directive, one with it at each level. more: lines of the virtual host; "resource": each
# level gets a metadata document of its own.
sub hosts {
    my ($name, $levels, $more) = @_;
    my @l = map { "$name $_" } @$levels == 2 ? @$levels[0, 1, 0, 1] : @$levels;
    my $own = ($more // '') eq 'resource' ? sub { "McpOAuthResource https://mcp.test/$name$_[0]" } : sub { '' };
    my $lines = $own->('') ? '' : $more // '';
    my $host = lc $name;
    my $head = "<VirtualHost 127.0.0.1:$port>\n    ServerName https://%s.test:443\n    ProxyPass / http://127.0.0.1:@{[port('merge_backend')]}/\n"
        . "    Header always set X-User \"expr=%%{REMOTE_USER}\"\n    $lines\n";
    return sprintf($head, "no-$host") . location('/x', 'McpOAuth On', $own->('/no')) . "</VirtualHost>\n"
        . sprintf($head, $host) . "    $l[1]\n"
        . location('/x', 'McpOAuth On', $own->('/x'))
        . location('/x/out', $l[2], $own->('/x/out'))
        . location('/x/out/in', $l[3], $own->('/x/out/in'))
        . location('/x/out/in/keep', 'McpOAuth On')
        . "</VirtualHost>\n";
}

sub levels_hold {
    my ($name, $levels, $probe) = @_;
    my @want = @$levels == 2 ? qw(A B A B B) : qw(1 12 123 1234 1234);
    my $host = lc $name;
    my @at = (["no-$host.test", '/x', 'server'], ["$host.test", '/x', 'virtual host'], ["$host.test", '/x/out', 'location'],
        ["$host.test", '/x/out/in', 'location inside'], ["$host.test", '/x/out/in/keep', 'location that says nothing']);
    for my $i (0 .. $#at) {
        my ($h, $path, $level) = @{ $at[$i] };
        is scalar $probe->($h, $path), $want[$i], "$name: $level";
    }
}

my $keys = made('as.json');
my $common = <<"END";
<McpOAuthIssuer "https://a.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
<McpOAuthIssuer "https://b.test">
    McpOAuthJwks "file:$keys"
</McpOAuthIssuer>
McpOAuthAllow role-a logging/setLevel
@{[join '', map { "McpOAuthAllow small$_ tool:t$_\n" } 1 .. 4]}
END

{
    my $text = $common . join('', map { "$_->[0] $_->[1][0]\n" } @directives) . join '', map { hosts(@$_[0, 1], $_->[3]) } @directives;
    my $httpd = Httpd->start(merge_levels => $text);
    levels_hold(@$_[0 .. 2]) for @directives;
}

# McpOAuthACL at the server, which McpOAuthInspect Off above would contradict.
{
    my @acl = ('McpOAuthACL', ['Shadow', 'On'], sub { letter(code(@_, body => rpc_body('tasks/list')), 200, 403) });
    my $text = $common . "McpOAuthIssuer https://a.test\nMcpOAuthResource https://mcp.test/a\nMcpOAuthAudience https://aud.test/a/deep\n"
        . "McpOAuthTokenHeader X-Tok-A\nMcpOAuthACL Shadow\n" . hosts(@acl[0, 1]);
    my $httpd = Httpd->start(merge_acl => $text);
    levels_hold(@acl);
    $done{McpOAuthACL} = 1;
}

# McpOAuthRateLimit with operations, which McpOAuthInspect Off above would contradict. A user of its own for each look.
{
    my $user = 0;
    my @methods = qw(tools/list prompts/list resources/list ping);
    my @limit = ('McpOAuthRateLimit', [map { "1/1h $_" } @methods], sub {
        my @at = @_;
        my $token = normal(sub => 'user' . $user++);
        return join '', grep {
            my $body = rpc_body($methods[$_ - 1]);
            code(@at, bearer => $token, body => $body) == 200 && code(@at, bearer => $token, body => $body) == 429
        } 1 .. 4;
    });
    my $text = $common . "McpOAuthIssuer https://a.test\nMcpOAuthResource https://mcp.test/a\nMcpOAuthAudience https://aud.test/a/deep\n"
        . "McpOAuthTokenHeader X-Tok-A\n$limit[0] $limit[1][0]\n" . hosts(@limit[0, 1]);
    my $httpd = Httpd->start(merge_limit => $text);
    levels_hold(@limit);
    $done{McpOAuthRateLimit} = 1;
}

# --- <McpOAuthIssuer>: the server's section, and that of a virtual host over it -------------------------

# [directive, line at the server, line at the virtual host, probe(host, path): A or B, lines of the server's section besides].
# In each host /DIRECTIVE trusts https://directive.test (or the issuer given), and takes tokens for https://mcp.test/m.
my $u = 'http://127.0.0.1:' . port('merge_as');
my $b = made('b.json');
sub of { my ($name, %change) = @_; token(iss => issuer($name), aud => 'https://mcp.test/m', %change) }
my %issuer = (McpOAuthAllowHTTP => 'http://as.invalid/allow', McpOAuthHTTPProxy => 'http://as.invalid/proxy');
sub issuer { $issuer{ $_[0] } // 'https://' . lc($_[0]) . '.test' }
sub status { my ($host, $path, $token) = @_; http($port, GET => $path, host => $host, token => $token)->{code} }
sub accepted { my ($host, $path, %t) = @_; join '', grep { status($host, $path, $t{$_}) == 200 } sort keys %t }
my $file = "McpOAuthJwks \"file:$keys\"";

my @issuers = (
    ['McpOAuthAuthorizationServer', 'https://a.as.test', 'https://b.as.test', $file,
        sub { letter(document_of(@_)->{authorization_servers}[0], 'https://a.as.test', 'https://b.as.test') }],
    ['McpOAuthJwks', "\"file:$keys\"", "\"file:$b\"", '',
        sub { accepted(@_, A => of('McpOAuthJwks'), B => of('McpOAuthJwks', -key => 'rsa_b', -kid => 'rsa')) }],
    ['McpOAuthAudience', 'aud-a', 'aud-b', $file,
        sub { accepted(@_, A => of('McpOAuthAudience', aud => 'aud-a'), B => of('McpOAuthAudience', aud => 'aud-b')) }],
    ['McpOAuthAlgorithms', 'ES256', 'RS256', $file,
        sub { accepted(@_, A => of('McpOAuthAlgorithms', -key => 'ec256'), B => of('McpOAuthAlgorithms')) }],
    ['McpOAuthTokenType', 'JWT', 'at+jwt', $file,
        sub { accepted(@_, A => of('McpOAuthTokenType', -header => { typ => 'JWT' }), B => of('McpOAuthTokenType')) }],
    ['McpOAuthClockSkew', '600s', '1s', $file,
        sub { letter(status(@_, of('McpOAuthClockSkew', exp => now() - 100)), 200, 401) }],
);

# Those about asking, with a new token each: how the server was asked, as path, who asks, and how.
sub opaque_token { $as->active(aud => 'https://mcp.test/m') }
sub asked {
    my ($name, $host) = @_;
    my $before = () = $as->requests;
    my $code = status($host, "/$name", opaque_token());
    my @new = $as->requests;
    my ($r) = grep { $_->{method} eq 'POST' } splice @new, $before or return {};
    my $form = MCP::Introspection::form($r->{body});
    my $how = defined $r->{headers}{authorization} ? 'basic' : 'post';
    my ($id, $secret) = $how eq 'basic' ? MCP::Introspection::basic($r->{headers}{authorization}) : map { $form->{$_}[0] } qw(client_id client_secret);
    return { code => $code, path => $r->{path}, how => $how, id => $id, secret => $secret };
}
write_file("$root/conf/secret-$_", "secret-$_\n"), chmod 0600, "$root/conf/secret-$_" for qw(a b);
sub asks {    # the lines of the server's section, but for those about one directive
    my $but = shift;
    my %line = (McpOAuthIntrospection => "$u/introspect", McpOAuthClientId => 'client-a', McpOAuthClientSecret => "\"file:$root/conf/secret-a\"",
        McpOAuthIntrospectionAuth => 'client_secret_basic');
    delete $line{$but};
    return join "\n    ", $file, map { "$_ $line{$_}" } sort keys %line;
}
push @issuers, (
    ['McpOAuthIntrospection', "$u/introspect-a", "$u/introspect-b", asks('McpOAuthIntrospection'),
        sub { my $a = asked('McpOAuthIntrospection', @_); $a->{code} == 200 ? letter($a->{path}, '/introspect-a', '/introspect-b') : '' }],
    ['McpOAuthClientId', 'client-a', 'client-b', asks('McpOAuthClientId'),
        sub { letter(asked('McpOAuthClientId', @_)->{id}, 'client-a', 'client-b') }],
    ['McpOAuthClientSecret', "\"file:$root/conf/secret-a\"", "\"file:$root/conf/secret-b\"", asks('McpOAuthClientSecret'),
        sub { letter(asked('McpOAuthClientSecret', @_)->{secret}, 'secret-a', 'secret-b') }],
    ['McpOAuthIntrospectionAuth', 'client_secret_post', 'client_secret_basic', asks('McpOAuthIntrospectionAuth'),
        sub { letter(asked('McpOAuthIntrospectionAuth', @_)->{how}, 'post', 'basic') }],
    ['McpOAuthIntrospectionCacheTTL', '0', '1h', asks(''),
        sub { my @at = @_; my $token = opaque_token();
            letter(join(' ', (map { status(@at, $token) } 1 .. 2), scalar(my @calls = $as->asked($token))), '200 200 2', '200 200 1') }],
    # With On a plain answer is none.
    ['McpOAuthIntrospectionSigned', 'On', 'Off', asks(''),
        sub { letter(status(@_, opaque_token()), 503, 200) }],
);
sub document_of {
    my ($host, $path) = @_;
    my %c = challenge(http($port, GET => $path, host => $host));
    my ($where) = ($c{resource_metadata} // '') =~ m{^https://[^/]+(/.*)$} or return {};
    return json(http($port, GET => $where, host => $host)->{body});
}

# Those about fetching: McpOAuthJwks of the virtual host has an address of its own, so that fetches can be told apart.
my @fetched = (
    ['McpOAuthKeyRefresh', '1s 1s', '1h 1h', "McpOAuthJwks $u/refresh-a", "McpOAuthJwks $u/refresh-b"],
    ['McpOAuthKeyMaxStale', '0', '1h', "McpOAuthJwks $u/stale-a\n    McpOAuthKeyRefresh 1s 1s", "McpOAuthJwks $u/stale-b"],
    ['McpOAuthHTTPTimeout', '300ms', '20s', "McpOAuthJwks $u/slow-a\n    McpOAuthKeyRefresh 1s 1s", "McpOAuthJwks $u/slow-b"],
    ['McpOAuthHTTPProxy', "http://127.0.0.1:@{[port('merge_as')]}", "http://127.0.0.1:@{[port('merge_proxy')]}",
        "McpOAuthAllowHTTP On\n    McpOAuthJwks http://as.invalid/keys", ''],
    ['McpOAuthAllowHTTP', 'On', '', "McpOAuthHTTPProxy http://127.0.0.1:@{[port('merge_as')]}\n    McpOAuthJwks http://as.invalid/keys",
        'McpOAuthClockSkew 1s'],
    ['McpOAuthCACertificateFile', '"' . made('cert-wrong-name.pem') . '"', '"' . made('cert-good.pem') . '"',
        "McpOAuthJwks https://localhost:$tls/as.json\n    McpOAuthKeyRefresh 1s 1s", ''],
);
my $have_ssl = slurp("$root/../modules.conf") =~ /mod_ssl\.so/;
{
    my $text = slurp($keys);
    $as->keys($_, $text) for qw(/refresh-a /refresh-b /stale-a /stale-b http://as.invalid/keys);
    $as->set($_, body => $text, delay => 1) for qw(/slow-a /slow-b);
    $proxy->keys('http://as.invalid/keys', slurp($b));

    my (@server, @host, @locations);
    for (@issuers, @fetched) {
        my ($name, $a, $at_host, $more, $more_host) = @$_;
        $more_host = '' if ref $more_host || !defined $more_host;
        push @server, "<McpOAuthIssuer \"@{[issuer($name)]}\">\n    $name $a\n    $more\n</McpOAuthIssuer>\n";
        push @host, "<McpOAuthIssuer \"@{[issuer($name)]}\">\n    @{[length $at_host ? qq($name $at_host) : '']}\n    $more_host\n</McpOAuthIssuer>\n";
        push @locations, location("/$name", 'McpOAuth On', "McpOAuthIssuer @{[issuer($name)]}", 'McpOAuthAudience https://mcp.test/m');
    }
    my $locations = join '', @locations;
    my $front = "    ProxyPass / http://127.0.0.1:@{[port('merge_backend')]}/\n";
    my $ssl = !$have_ssl ? '' : <<"END";
Listen 127.0.0.1:$tls
<VirtualHost 127.0.0.1:$tls>
    ServerName localhost
    SSLEngine on
    SSLCertificateFile "@{[made('cert-good.pem')]}"
    SSLCertificateKeyFile "@{[made('tls.pem')]}"
    Alias "/as.json" "$keys"
    <Directory "$root/made">
        Require all granted
    </Directory>
</VirtualHost>
END
    my $httpd = Httpd->start(merge_issuers => "McpOAuthMetadataPath /.well-known/x\n@server$ssl"
        . "<VirtualHost 127.0.0.1:$port>\n    ServerName https://no-section.test:443\n$front$locations</VirtualHost>\n"
        . "<VirtualHost 127.0.0.1:$port>\n    ServerName https://section.test:443\n$front@host$locations</VirtualHost>\n");
    for (@issuers) {
        my ($name, $probe) = @$_[0, 4];
        is $probe->('no-section.test', "/$name"), 'A', "<McpOAuthIssuer> $name: server";
        is $probe->('section.test', "/$name"), 'B', "<McpOAuthIssuer> $name: virtual host";
        $done{"$name of issuers"} = 1;
    }

    my $name = 'McpOAuthKeyRefresh';
    ok wait_for(30, sub { $as->count('/refresh-a') >= 4 }), "<McpOAuthIssuer> $name: server";
    is $as->count('/refresh-b'), 1, "<McpOAuthIssuer> $name: virtual host";
    is status($_, "/$name", of($name)), 200, "<McpOAuthIssuer> $name: keys are there in $_" for qw(no-section.test section.test);

    $name = 'McpOAuthHTTPTimeout';
    ok wait_for(30, sub { status('section.test', "/$name", of($name)) == 200 }), "<McpOAuthIssuer> $name: virtual host";
    ok $as->count('/slow-a') >= 1, "<McpOAuthIssuer> $name: the server's was tried";
    is status('no-section.test', "/$name", of($name)), 503, "<McpOAuthIssuer> $name: server";

    $name = 'McpOAuthHTTPProxy';
    my %by = (A => of($name), B => of($name, -key => 'rsa_b', -kid => 'rsa'));
    ok wait_for(30, sub { accepted('no-section.test', "/$name", %by) eq 'A' }), "<McpOAuthIssuer> $name: server";
    ok wait_for(30, sub { accepted('section.test', "/$name", %by) eq 'B' }), "<McpOAuthIssuer> $name: virtual host";

    $name = 'McpOAuthAllowHTTP';
    ok wait_for(30, sub { status($_, "/$name", of($name)) == 200 }), "<McpOAuthIssuer> $name: $_ (Off over On: test/config.sh)"
        for qw(no-section.test section.test);

    $name = 'McpOAuthCACertificateFile';
    if ($have_ssl) {
        ok wait_for(30, sub { status('section.test', "/$name", of($name)) == 200 }), "<McpOAuthIssuer> $name: virtual host";
        is status('no-section.test', "/$name", of($name)), 503, "<McpOAuthIssuer> $name: server";
    }

    $name = 'McpOAuthKeyMaxStale';
    ok wait_for(30, sub { status($_, "/$name", of($name)) == 200 }), "<McpOAuthIssuer> $name: keys are there in $_"
        for qw(no-section.test section.test);
    $as->set($_, status => '500 Oops') for qw(/stale-a /stale-b);
    ok wait_for(30, sub { status('no-section.test', "/$name", of($name)) == 503 }), "<McpOAuthIssuer> $name: server";
    is status('section.test', "/$name", of($name)), 200, "<McpOAuthIssuer> $name: virtual host";
    $done{"$_->[0] of issuers"} = 1 for @fetched;
}

# --- none is missing: what lets itself be set at more than one level was tried -----------------------------
{
    # McpOAuth itself: nested.t. The server's own two have one level.
    my @location = qw(McpOAuthIssuer McpOAuthResource McpOAuthAudience McpOAuthAudienceMatch McpOAuthAuthorizedParty McpOAuthRequireScope
        McpOAuthRequireClaim McpOAuthScopesSupported McpOAuthChallengeScope McpOAuthMetadata McpOAuthMetadataPath McpOAuthTokenHeader
        McpOAuthForwardToken McpOAuthForwardClaim McpOAuthRemoteUser McpOAuthOrigin McpOAuthInspect McpOAuthMaxBody McpOAuthMaxDepth McpOAuthACL
        McpOAuthBatch McpOAuthFilterLists McpOAuthStreamExpiry McpOAuthSessionBinding McpOAuthDPoP McpOAuthDPoPNonce McpOAuthRequireACR
        McpOAuthMaxAuthAge McpOAuthScopeClaim McpOAuthACLClaim McpOAuthAllow McpOAuthImplies McpOAuthRateLimit);
    my @section = qw(McpOAuthAuthorizationServer McpOAuthJwks McpOAuthAudience McpOAuthAlgorithms McpOAuthTokenType McpOAuthClockSkew
        McpOAuthKeyRefresh McpOAuthKeyMaxStale McpOAuthHTTPTimeout McpOAuthHTTPProxy McpOAuthCACertificateFile McpOAuthAllowHTTP
        McpOAuthIntrospection McpOAuthClientId McpOAuthClientSecret McpOAuthIntrospectionAuth McpOAuthIntrospectionCacheTTL McpOAuthIntrospectionSigned);
    is_deeply [sort keys %done], [sort @location, map { "$_ of issuers" } @section], 'every directive was tried';
}

done_testing;
