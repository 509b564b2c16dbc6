# Sections inside each other: exceptions, the resource that inner locations inherit, contradictions that only meet when a
# request comes, .htaccess. Design 2.1, 3, 3.2. What each directive does at each level: levels.t.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

# --- McpOAuth On, Off, On again; the resource is that of the outermost section
my $resource = 'http://localhost:' . port('merge') . '/a';
my $t = token(aud => $resource);
accepts(merge => $_, $t, "resource of the outer location at $_") for '/a', '/a/x', '/a/again', '/a/again/x', '/a/open/closed';
refuses(merge => $_, token(aud => "http://localhost:" . port('merge') . $_), "no resource of its own at $_")
    for '/a/again', '/a/open/closed';
is http(merge => GET => $_)->{code}, 200, "McpOAuth Off is an exception at $_" for '/a/open', '/a/open/x';
is http(merge => GET => $_)->{code}, 401, "McpOAuth On again closes it at $_" for '/a/open/closed', '/a/open/closed/x';
is http(merge => GET => '/a/openly')->{code}, 401, 'a name that only begins like the exception is none';
accepts(merge => '/a/again/own', token(aud => 'https://mcp.test/own'), 'a resource of its own where it says so');
refuses(merge => '/a/again/own', $t, 'and that of the outer location no longer');
{
    my %outer = challenge(http(merge => GET => '/a'));
    my %inner = challenge(http(merge => GET => '/a/again/x'));
    is $inner{resource_metadata}, $outer{resource_metadata}, 'inner and outer location have one metadata document';
    like $outer{resource_metadata}, qr{/\.well-known/oauth-protected-resource/a$}, 'that of the outer path';
}

# --- a section of the server itself, and that of a virtual host over it
sub scoped { token(aud => 'https://mcp.test/merge', scope => $_[0]) }
is status_of(merge_plain => '/merge-outer', scoped('server')), 200, 'a <Location> of the server protects in a virtual host';
is status_of(merge_plain => '/merge-outer', scoped('host')), 403, 'with its settings';
is status_of(merge => '/merge-outer', scoped('host')), 200, 'the <Location> of a virtual host comes after it';
is status_of(merge => '/merge-outer', scoped('server')), 403, 'and replaces them';
is http($_ => GET => '/merge-outer')->{code}, 401, "never without a token at $_" for qw(merge merge_plain);

# --- contradictions: 500 and one line with MCP0901, never a way through
my $c = token(aud => 'https://mcp.test/conflict');
is rpc(merge => '/conflict', 'ping', undef, token => $c)->{code}, 204, 'the outer location works';
for my $path ('/conflict/inner', '/conflict/inner/deeper', '/conflict/by-pattern') {
    for my $how (['POST with a token', sub { rpc(merge => $path, 'ping', undef, token => $c) }],
        ['GET with a token', sub { http(merge => GET => $path, token => $c) }], ['GET without', sub { http(merge => GET => $path) }]) {
        my $mark = log_mark();
        my $r = $how->[1]->();
        is_status($r, 500, "$path: $how->[0]");
        is header($r, 'X-Reason'), 'config-conflict', "$path: $how->[0]: reason";
        my @lines = log_since($mark) =~ /^(.*MCP0901: config-conflict.*)$/mg;
        is @lines, 1, "$path: $how->[0]: one line in the log";
        like "@lines", qr/McpOAuthInspect On or McpOAuthACL Off/, "$path: $how->[0]: with the cure";
    }
}
is rpc(merge => '/conflict/inner/mended', 'ping', undef, token => $c)->{code}, 204, 'a location further inside mends it';
is http(merge => GET => '/conflict/inner/mended')->{code}, 401, 'and protects';
{
    my $f = token(aud => 'https://mcp.test/field');
    is status_of(merge => '/field', $f), 200, 'forwarded claim and token in different headers';
    my $mark = log_mark();
    is http(merge => GET => '/field/inner', headers => ['X-Mcp-User', $f])->{code}, 500, 'a claim in the field of the token, by inheritance';
    like log_since($mark), qr/MCP0901: config-conflict.*write another name/, 'with the cure';
}
{
    my $log = slurp(MCP::Test::log_file('error_log'));
    like $log, qr/MCP0953: .*merge\.conf:\d+: .*requests here are refused with 500/, 'the start has warned';
}

# --- .htaccess may hold nothing of ours
my $dir = vars('serverroot') . '/htdocs/merge';
mkdir $dir;
chmod 0755, $dir;
write_file("$dir/index.html", 'a file');
write_file("$dir/.htaccess", "# nothing\n");
is http(merge => GET => '/files/index.html')->{code}, 200, '.htaccess without a directive of ours';
for my $line ('McpOAuth Off', 'McpOAuth On', 'McpOAuthIssuer https://evil.test', 'McpOAuthResource https://mcp.test/x', 'McpOAuthAudience x',
    'McpOAuthAudienceMatch hierarchical', 'McpOAuthAuthorizedParty x', 'McpOAuthRequireScope x', 'McpOAuthRequireClaim x y',
    'McpOAuthScopesSupported x', 'McpOAuthChallengeScope x', 'McpOAuthMetadata x y', 'McpOAuthMetadataPath /x', 'McpOAuthTokenHeader X-A',
    'McpOAuthForwardToken On', 'McpOAuthForwardClaim sub X-A', 'McpOAuthRemoteUser x', 'McpOAuthOrigin *', 'McpOAuthInspect Off',
    'McpOAuthMaxBody 5M', 'McpOAuthMaxDepth 5', 'McpOAuthACL Off', 'McpOAuthScopeClaim x', 'McpOAuthACLClaim x', 'McpOAuthAllow * *',
    'McpOAuthImplies a b', "<McpOAuthIssuer \"https://evil.test\">\n</McpOAuthIssuer>", 'McpOAuthJwks https://evil.test', 'McpOAuthAllowHTTP On',
    'McpOAuthTokenCacheTTL 1s', 'McpOAuthTokenCacheSize 1')
{
    my ($name) = split /\s/, $line;
    write_file("$dir/.htaccess", "$line\n");
    my $mark = log_mark();
    is http(merge => GET => '/files/index.html')->{code}, 500, ".htaccess: $name";
    like log_since($mark), qr/\Q$name\E not allowed here/, ".htaccess: $name: the log says so";
}
unlink "$dir/.htaccess";

done_testing;
