# Two servers that share introspection answers through Redis; see lib/MCP/SharedCache.pm.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::SharedCache;
use MCP::Test;

shared_cache('redis');
done_testing;
