package MCP::Config;
# What httpd says to a configuration: "httpd -t" of a small file, nothing is started.
#
#   my ($ok, $said) = config_test(qq(<Location "/mcp">\n…));    # a protected location with an issuer: see protected
#   refuses_config($text, qr/McpOAuthRateLimit/, 'a bad value');  # the start, with file and line; $text's line may be marked with "#!"
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use File::Temp ();
use MCP::Test;

our @EXPORT = qw(config_test protected refuses_config accepts_config);

# Lines for a location that would be fine by itself.
sub protected {
    my @lines = @_;
    my $keys = made('as.json');
    return join "\n", '<McpOAuthIssuer "https://as.test">', "    McpOAuthJwks \"file:$keys\"", '</McpOAuthIssuer>', '<Location "/mcp">', '    McpOAuth On', '    McpOAuthIssuer https://as.test',
        '    McpOAuthResource https://mcp.test/mcp', (map { "    $_" } @lines), '</Location>', '';
}

# (whether httpd takes it, what it says; the file). A further argument is one more option.
sub config_test {
    my ($text, @options) = @_;
    my $dir = File::Temp->newdir(DIR => vars('t_dir'));
    mkdir "$dir/htdocs";
    my $modules = vars('httpd_conf');
    my $as = $> == 0 ? "User " . vars('user') . "\nGroup " . vars('group') : '';
    write_file("$dir/case.conf", $text);
    write_file("$dir/httpd.conf", <<END);
Include "$modules"
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/httpd.pid"
DocumentRoot "$dir/htdocs"
ServerName localhost
Listen 127.0.0.1:1
$as
TypesConfig /dev/null
ErrorLog "$dir/error_log"
Include "$dir/case.conf"
END
    my $httpd = vars('httpd');
    my $said = qx("$httpd" -f "$dir/httpd.conf" -t @options 2>&1);
    my $ok = $? == 0;
    $said .= slurp("$dir/error_log") if -e "$dir/error_log";
    return ($ok, $said);
}

# httpd does not take it, and says where (the line with "#!", else any line of the file) and all that the expressions want.
sub refuses_config {
    my ($text, $what, $name) = @_;
    my ($n, $line) = (0, qr/\d+/);
    for (split /\n/, $text) { $n++; $line = $n if /#!/ }
    $text =~ s/\s*#!$//mg;
    my ($ok, $said) = config_test($text);
    my @wrong;
    push @wrong, 'it is accepted' if $ok;
    push @wrong, "no file and line $line" unless $said =~ /case\.conf:$line\b|line $line of \S*case\.conf/;
    push @wrong, "no $_" for grep { $said !~ $_ } ref $what eq 'ARRAY' ? @$what : $what;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !@wrong, $name or diag join('; ', @wrong), "\n$said";
}

sub accepts_config {
    my ($text, $name) = @_;
    my ($ok, $said) = config_test($text);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $ok && $said !~ /MCP09\d\d/, $name or diag $said;
    return $said;
}

1;
