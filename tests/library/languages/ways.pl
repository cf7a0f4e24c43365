# One way, in Perl: `ways.pl WAY STATIC`, where STATIC is the static program of ways.c. Prints what Perl saw of it.
use strict;
use warnings;
use POSIX ();
use Socket;

$| = 1;
my ($way, $static) = @ARGV;
my ($connect, $execve) = (POSIX::uname())[4] eq 'x86_64' ? (42, 59) : (203, 221);
my $outside = pack_sockaddr_in(4446, inet_aton('192.88.1.10'));
my $open = pack_sockaddr_in(8080, inet_aton('192.88.1.10'));

sub tcp { socket(my $socket, AF_INET, SOCK_STREAM, 0) or die; return $socket }
sub udp { socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die; return $socket }
sub connected { my $socket = tcp(); connect($socket, $open) or die "no listener"; return $socket }
sub result { return $_[0] ? 'done' : 'failed: ' . ($! + 0) }

my %ways = (
    'connect' => sub { result(connect(tcp(), $outside)) },
    'send' => sub { result(defined send(udp(), 'x', 0, $outside)) },
    'listen' => sub { my $socket = tcp(); bind($socket, pack_sockaddr_in(4470, INADDR_ANY)) or die; result(listen($socket, 1)) },
    'backticks' => sub { my $text = `echo 3; true`; defined $text ? $text : 'undef' },
    'system' => sub { system('exit 3; true') },
    'open of a pipe' => sub { result(open(my $pipe, '-|', 'echo 3; true')) },
    'exec' => sub { exec { '/bin/sh' } 'sh', '-c', 'echo 3' or return result(0) },
    'open of a connection onto STDIN' => sub { result(open(STDIN, '<&', connected())) },
    'LD_PRELOAD for a child' => sub { $ENV{LD_PRELOAD} = '/nowhere.so'; system { '/bin/true' } 'true'; $? },
    'syscall, connect' => sub { my $socket = tcp(); my $address = $outside; result(syscall($connect, fileno($socket), $address, 16) == 0) },
    'syscall, execve' => sub {
        my ($path, $name, $flag, $text) = map { "$_\0" } '/bin/sh', 'sh', '-c', 'echo 3';
        my $vector = pack('PPPx8', $name, $flag, $text);
        my $none = pack('x8');
        result(syscall($execve, $path, $vector, $none) == 0);
    },
    'a static program' => sub { open(my $pipe, '-|', $static, 'libc', 'connect') or return result(0); my $line = <$pipe>; $line },
);
print $ways{$way}->(), "\n";
