# What httpd makes of a request by itself, index, error document, rewriting, inclusion, where a proof works once: requirements.md
# POP-3, POP-5, threats.md H07.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Backend;
use MCP::Gate;
use MCP::Proof;

my $backend = MCP::Backend->start(port('bound_backend'));
my $mark = log_mark();
my ($where, $resource) = ('bound', 'https://mcp.test/files');
my $dir = vars('documentroot') . '/bound';
mkdir $dir;
chmod 0755, $dir;
my %pages = ('index.html' => 'the index', 'page.html' => 'the page', 'lost.html' => 'the lost page', 'with.shtml' => '[<!--#include virtual="/files/page.html" -->]', 'thrice.shtml' => '<!--#include virtual="/files/page.html" -->' x 3, 'other.shtml' => '[<!--#include virtual="/scope/x" -->]');
for (sort keys %pages) {
    write_file("$dir/$_", "$pages{$_}\n");
    chmod 0644, "$dir/$_";
}
my ($t, $free) = (bound(aud => $resource), token(aud => $resource));
my %ways = (Bearer => sub { my ($verb, $path) = @_; http($where, $verb => $path, token => $free) }, DPoP => sub { my ($verb, $path) = @_; dpop($where, $verb => $path, $t) });

for my $scheme (sort keys %ways) {
    for (['/files/page.html', 200, qr/the page/, 'a file'], ['/files/', 200, qr/the index/, 'an index'], ['/files/moved', 200, qr/the page/, 'rewritten inside the location'], ['/files/none', 404, qr/the lost page/, 'an error document']) {
        my ($path, $code, $text, $name) = @$_;
        my $r = $ways{$scheme}->(GET => $path);
        is_status($r, $code, "H07 $scheme: $name");
        like $r->{body}, $text, "H07 $scheme: $name: what it is";
        $r = $ways{$scheme}->(HEAD => $path);
        is_deeply [$r->{code}, $r->{body}], [$code, ''], "H07 $scheme: $name: HEAD";
    }
    my $r = $ways{$scheme}->(GET => '/files/with.shtml');
    is_status($r, 200, "H07 $scheme: a page with another one in it");
    like $r->{body}, qr/\[the page/, "H07 $scheme: which is shown";
    untouched $backend, "H07 $scheme", sub {
        $r = $ways{$scheme}->(GET => '/files/away');
        isnt $r->{code}, 200, "H07 $scheme: rewritten to another resource";
        $r = $ways{$scheme}->(GET => '/files/other.shtml');
        is $r->{code}, 200, "H07 $scheme: a page with one of another resource in it";
        unlike $r->{body}, qr/backend/, "H07 $scheme: which is not shown";
    };
}

# Once is once, however many requests httpd makes of it.
for my $path ('/files/', '/files/moved', '/files/none', '/files/with.shtml') {
    my $proof = proof(GET => "https://mcp.test$path", $t);
    my @codes = map { http($where, GET => $path, dpop_headers($t, $proof))->{code} } 1, 2;
    is $codes[1], 401, "POP-5 $path: the proof works once";
    is http($where, GET => $path)->{code}, 401, "H07 $path: nothing without";
    refuses_dpop(dpop($where, GET => $path, $t, url => 'https://mcp.test/files/page.html'), 'dpop-url', "POP-3 $path: with a proof for what it becomes");
}

# A page that is open to all, and asks three times for one that is not.
{
    my $proof = proof(GET => 'https://mcp.test/files/page.html', $t);
    my @shown = map { scalar(() = http($where, GET => '/open/thrice.shtml', dpop_headers($t, $proof))->{body} =~ /the page/g) } 1, 2;
    is_deeply \@shown, [3, 0], 'POP-5 a used proof opens nothing, however often httpd asks within one request';
    is scalar(() = http($where, GET => '/open/thrice.shtml')->{body} =~ /the page/g), 0, 'H07 nor does none';
}
no_crash($mark);

done_testing;
