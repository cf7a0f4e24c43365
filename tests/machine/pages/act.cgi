#!/usr/bin/perl
# Does harmlessly what a web shell does: by `do`, a shell or a connection.
use IO::Socket::INET;
print "Content-Type: text/plain\n\n";
if ($ENV{QUERY_STRING} eq 'do=shell') {
    print `id -un; true` || 'refused';
} else {
    IO::Socket::INET->new(PeerAddr => '192.88.1.10:4444', Timeout => 2);
    print $!;
}
