<?php
// One way, in PHP's command line: `ways.php WAY STATIC`, where STATIC is the static program of ways.c. Prints what PHP saw.
error_reporting(0);
[, $way, $static] = $argv;
$host = '192.88.1.10';
$address = pack('Sna4x8', AF_INET, 4449, inet_pton($host));
function tcp() { return socket_create(AF_INET, SOCK_STREAM, 0); }
function result($done) { return $done === false ? 'failed' : 'done'; }
function libc($declaration, $library = 'libc.so.6') {
    return $library ? FFI::cdef($declaration, $library) : FFI::cdef($declaration);
}
$ffi_socket = 'int socket(int, int, int); int connect(int, const char *, unsigned); long syscall(long, long, const char *, long);';
$ways = [
    'socket_sendto' => fn() => result(socket_sendto(socket_create(AF_INET, SOCK_DGRAM, 0), 'x', 1, 0, $host, 4446)),
    'stream_socket_sendto' => function () use ($host) {
        // A stream of PHP's own, not connected.
        $stream = stream_socket_server('udp://0.0.0.0:0', $number, $text, STREAM_SERVER_BIND);
        return var_export(stream_socket_sendto($stream, 'x', 0, "$host:4446"), true);
    },
    'stream_socket_server' => fn() => result(stream_socket_server('tcp://0.0.0.0:4470')),
    'socket_listen' => function () { $s = tcp(); socket_bind($s, '0.0.0.0', 4470); return result(socket_listen($s)); },
    'putenv of LD_PRELOAD' => function () {
        putenv('LD_PRELOAD=/nowhere.so');
        // From PHP 8.4, what cannot be started is no process.
        $p = proc_open(['/bin/true'], [], $pipes);
        return $p ? proc_close($p) : 'failed';
    },
    'FFI, libc.connect' => function () use ($ffi_socket, $address) {
        $libc = libc($ffi_socket);
        return $libc->connect($libc->socket(2, 1, 0), $address, 16);
    },
    'FFI, libc.system' => fn() => libc('int system(const char *);')->system('exit 3'),
    'FFI, the program\'s system' => fn() => libc('int system(const char *);', '')->system('exit 3'),
    'FFI, libc.popen' => fn() => result(libc('void *popen(const char *, const char *);')->popen('exit 3', 'r') ?? false),
    'FFI, libc.syscall' => function () use ($ffi_socket, $address) {
        $libc = libc($ffi_socket);
        $number = php_uname('m') === 'x86_64' ? 42 : 203;
        return $libc->syscall($number, $libc->socket(2, 1, 0), $address, 16);
    },
    'a static program' => function () use ($static) {
        $p = proc_open([$static, 'libc', 'connect'], [1 => ['pipe', 'w']], $q);
        return $p ? stream_get_contents($q[1]) : 'failed';
    },
];
echo trim((string) $ways[$way]()), "\n";
