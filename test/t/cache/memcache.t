# Two servers that share introspection answers through memcached; see lib/MCP/SharedCache.pm.
use strict;
use warnings FATAL => 'all';
use lib 't/lib';
use MCP::SharedCache;
use MCP::Test;

shared_cache('memcache');
done_testing;
