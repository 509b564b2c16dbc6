# Runs last: no token of the whole run may stand in a log (threats.md O02, requirements.md TOK-17).
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::Test;

http(token => GET => '/a', token => $_) for token(aud => 'https://mcp.test/a'), token(aud => 'x');

my @tokens = split /\n/, slurp(made('minted'));
cmp_ok scalar(@tokens), '>=', 2, 'tokens were made';
for my $name (qw(error_log access_log)) {
    my $log = slurp(MCP::Test::log_file($name));
    my %found;
    for my $token (@tokens) {
        my (undef, $payload, $signature) = split /\./, $token;
        for my $part ($payload, $signature) {
            # A short part could stand there by chance; a long one is looked for by its first 40 characters.
            next if length($part // '') < 24;
            $found{ substr $part, 0, 40 }++ if index($log, substr $part, 0, 40) >= 0;
        }
    }
    is_deeply [keys %found], [], "O02 TOK-17 no token in the $name";
}
my $errors = slurp(MCP::Test::log_file('error_log'));
is_deeply [grep { /exit signal|AddressSanitizer|runtime error:/ } split /\n/, $errors], [], 'no child of the whole run died';
unlike $errors, qr/-----BEGIN/, 'no key in the error log';

done_testing;
