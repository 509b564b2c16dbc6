# What the metadata say of tokens that belong to somebody: requirements.md POP-7, POP-8, PRM-11.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::HTTP2 ();
use MCP::Proof;

my @members = qw(dpop_signing_alg_values_supported dpop_bound_access_tokens_required tls_client_certificate_bound_access_tokens);
sub document {
    my ($where, $path, %opt) = @_;
    my $r = http($where, GET => "/.well-known/oauth-protected-resource$path", %opt);
    is_status($r, 200, "PRM-1 $where$path");
    return eval { json($r->{body}) } || {};
}
sub says { my ($doc, $want, $name) = @_; is_deeply { map { exists $doc->{$_} ? ($_ => $doc->{$_}) : () } @members }, $want, $name }

my %spoken = (dpop_signing_alg_values_supported => \@DPOP_ALGS);
says document(bound => '/mcp'), \%spoken, 'POP-7 the default: DPoP is spoken, and not required';
says document(bound => '/optional'), \%spoken, 'POP-7 Optional';
says document(bound => '/off'), {}, 'POP-7 Off';
says document(bound => '/required'), { %spoken, dpop_bound_access_tokens_required => JSON::PP::true }, 'POP-7 Required';
says document(bound => '/nonce'), \%spoken, 'POP-7 what an inner location requires is not said of the resource';
says document(bound_root => ''), \%spoken, 'POP-7 the whole host';
unlike http(bound => GET => '/.well-known/oauth-protected-resource/mcp')->{body}, qr/none|HS\d|null/, 'PRM-11 no symmetric algorithm';
{
    # RFC 8259: the order of the members is no matter, but it is the same each time.
    my @bodies = map { http(bound => GET => '/.well-known/oauth-protected-resource/required')->{body} } 1 .. 3;
    is $bodies[0], $bodies[$_], 'PRM-16 the same document' for 1, 2;
    like $bodies[0], qr/"dpop_bound_access_tokens_required":true\b/, 'POP-7 required is true, not a text';
}

SKIP: {
    skip 'mod_ssl or IO::Socket::SSL is not there', 1 unless Apache::Test::have_module('mod_ssl') && eval { require IO::Socket::SSL; 1 };
    my $tls = sub { (on => MCP::Connection->new(port($_[0]), tls => 1)) };
    my %certificates = (%spoken, tls_client_certificate_bound_access_tokens => JSON::PP::true);
    says document(bound_tls => '/mcp', $tls->('bound_tls')), \%certificates, 'POP-8 SSLVerifyClient in the virtual host';
    says document(bound_tls => '/required', $tls->('bound_tls')), { %certificates, dpop_bound_access_tokens_required => JSON::PP::true }, 'POP-8 the same with DPoP required';
    says document(bound_tls => '/said', $tls->('bound_tls')), { %spoken, tls_client_certificate_bound_access_tokens => JSON::PP::false }, 'POP-8 McpOAuthMetadata has the last word';
    says document(bound_tls_place => '/mcp', $tls->('bound_tls_place')), \%certificates, 'POP-8 SSLVerifyClient in a location of the virtual host';
    says document(bound_tls_none => '/mcp', $tls->('bound_tls_none')), \%spoken, 'POP-8 no SSLVerifyClient';
}

done_testing;
