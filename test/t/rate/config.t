# What McpOAuthRateLimit takes, and what stops the start: with file, line and what to write instead.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;
use MCP::Config;

my $cure = qr/\bwrite |N\/DURATION/;
for my $value ('0/1min', 'x', '5', '5/0', '5/0s', '5/1parsec', '-1/1s', '+1/1s', '/5s', '5/', '/', '5//1s', '1.5/1s', '5/1s/1s', '5 /1s', '0x5/1s', '5/-1s', '5e3/1s', '99999999999999999999/1s', '5/99999999999999999999h', '5/1min ', '1,000/1h', '5/s', 'tool:x 5/1s', '""') {
    my $arg = $value =~ /^""$|tool/ ? $value : "\"$value\"";
    if ($value eq '5/1min ') { config_test(protected("McpOAuthRateLimit $arg")); next }    # blanks: nobody cares
    refuses_config(protected("McpOAuthRateLimit $arg #!"), [qr/McpOAuthRateLimit/, $cure], "McpOAuthRateLimit $arg is refused, with a cure");
}
refuses_config(protected('McpOAuthRateLimit #!'), qr/McpOAuthRateLimit/, 'McpOAuthRateLimit without anything is refused');
for my $operation ('@nope', '@', 'tool', 'tools/call:', 'get', '""', 'PUT', 'tool:', ':x', '@tools:x') {
    my ($allowed) = config_test(protected('McpOAuthACL On', "McpOAuthAllow * $operation"));
    my $text = protected("McpOAuthRateLimit 5/1s $operation #!");
    if ($allowed) { note "McpOAuthAllow takes $operation"; my ($too) = config_test($text =~ s/ #!//r); ok $too, "McpOAuthRateLimit takes $operation, as McpOAuthAllow does"; next }
    refuses_config($text, qr/McpOAuthRateLimit/, "McpOAuthRateLimit: OPERATION $operation is refused, as in McpOAuthAllow");
    refuses_config(protected("McpOAuthRateLimit 5/1s tool:ok $operation #!"), qr/McpOAuthRateLimit/, "McpOAuthRateLimit: OPERATION $operation behind a good one");
}

# --- good ones
accepts_config(protected(map { "McpOAuthRateLimit $_" } '60/1min', '5/10s', '1/1h', '1000000/1h', '60/1min *', '5/10s tool:search tool:send-* @list GET DELETE response', '2/1s "tools/call:with space"'), 'good values');
accepts_config(protected('McpOAuthACL Shadow', 'McpOAuthAllow * @session', 'McpOAuthRateLimit 5/1s'), 'with Shadow');
accepts_config(protected('McpOAuthInspect Off', "McpOAuthRateLimit $_"), "with McpOAuthInspect Off: $_") for '5/1s', '5/1s *';

# --- contradictions
refuses_config(protected('McpOAuthInspect Off', "McpOAuthRateLimit 5/1s $_"), [qr/MCP095\d/, qr/McpOAuthRateLimit/, qr/McpOAuthInspect/], "McpOAuthInspect Off and $_ contradict each other") for 'tool:x', '* tool:x', 'GET', '@list';
refuses_config(protected('McpOAuthRateLimit 5/1s tool:x', 'McpOAuthInspect Off'), [qr/MCP095\d/, qr/McpOAuthRateLimit/, qr/McpOAuthInspect/], 'in any order');
{
    # Merged, not in one section.
    my $text = protected('McpOAuthRateLimit 5/1s tool:x') . qq(<Location "/mcp/raw">\n    McpOAuthInspect Off\n</Location>\n);
    my ($ok, $said) = config_test($text);
    like $said, qr/MCP095\d.*McpOAuthRateLimit|McpOAuthRateLimit.*MCP095\d/s, 'an inner section that switches McpOAuthInspect Off: it is said' or diag $ok;
}
done_testing;
