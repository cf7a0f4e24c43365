#!/usr/bin/perl
# One way, in Perl; prints what Perl saw of it.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);

$| = 1;
print "Content-Type: text/plain\n\n";
my $way = $ENV{QUERY_STRING};
$way =~ s/%20/ /g;
my ($outside4, $outside6, $inside) = ('192.88.1.10', '2a0e:1::10', '10.1.2.3');

sub stream {
    my ($host, $port, $proto) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => $proto, Timeout => 5);
    # A datagram socket that is connected sends nothing.
    return $socket && ($proto eq 'tcp' || syswrite($socket, 'x')) ? 'connected' : 'not connected: ' . ($! + 0);
}
sub stream6 {
    socket(my $socket, AF_INET6, SOCK_STREAM, 0) or return "no socket: $!";
    return connect($socket, pack_sockaddr_in6(4444, inet_pton(AF_INET6, $outside6))) ? 'connected' : 'not connected: ' . ($! + 0);
}
my %ways = (
    'simple command' => sub { my $output = `id -u`; defined $output ? $output : 'undef' },
    'command with a list' => sub { my $output = `id -u; true`; defined $output ? $output : 'undef' },
    'tcp v4' => sub { stream($outside4, 4444, 'tcp') },
    'tcp v6' => \&stream6,
    'udp v4' => sub { stream($outside4, 4444, 'udp') },
    'common port' => sub { stream($outside4, 8080, 'tcp') },
    'local range' => sub { stream($inside, 4444, 'tcp') },
);
print $ways{$way}->(), "\n";
