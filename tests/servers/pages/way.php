<?php
// One way of starting a program or opening a connection; prints what PHP saw of it as JSON.
error_reporting(E_ALL);
$errors = [];
set_error_handler(function ($number, $message) use (&$errors) { $errors[] = $message; return true; });
$host4 = '192.88.1.10';
$host6 = '2a0e:1::10';
$inside = '10.1.2.3';
$command = 'id -u';

function read_all($pipe) { $text = stream_get_contents($pipe); fclose($pipe); return $text; }
function proc($command, $environment = null) {
    $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes, null, $environment);
    if (!is_resource($process)) { return false; }
    $output = read_all($pipes[1]);
    fclose($pipes[2]);
    return [$output, proc_close($process)];
}
function talk($stream, $errno, $errstr) {
    return $stream ? ['hello' => strlen(stream_get_contents($stream)) > 0] : [false, $errno, $errstr];
}
function stream($address, $read = true) {
    $stream = stream_socket_client($address, $errno, $errstr, 5);
    return $read ? talk($stream, $errno, $errstr) : sent($stream, $errno, $errstr);
}
function sent($stream, $errno, $errstr) { return [$stream !== false && fwrite($stream, 'x') === 1, $errno, $errstr]; }
function curl($url) {
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 5]);
    return [curl_exec($curl), curl_errno($curl)];
}
function raw($family, $type, $host, $port, $send = false) {
    $socket = socket_create($family, $type, 0);
    $done = @socket_connect($socket, $host, $port) && (!$send || @socket_write($socket, 'x') === 1);
    return [$done, socket_last_error($socket)];
}

$ways = [
    'system' => function () use ($command) { ob_start(); $last = system($command, $code); ob_end_clean(); return [$last, $code]; },
    'exec' => function () use ($command) { $last = exec($command, $lines, $code); return [$last, $lines, $code]; },
    'shell_exec' => fn() => shell_exec($command),
    'backticks' => fn() => `id -u`,
    'passthru' => function () use ($command) { ob_start(); $done = passthru($command, $code); return [$done, $code, ob_get_clean()]; },
    'popen' => function () use ($command) { $pipe = popen($command, 'r'); return $pipe ? [stream_get_contents($pipe), pclose($pipe)] : false; },
    'proc_open string' => fn() => proc($command),
    'proc_open string with environment' => fn() => proc('echo $A', ['A' => 'b']),
    'proc_open array' => fn() => proc(['sh', '-c', $command]),
    'proc_open array with environment' => fn() => proc(['/bin/sh', '-c', 'echo $A'], ['A' => 'b']),
    'proc_open array without a shell' => fn() => proc(['id', '-u']),
    'mail' => fn() => mail('a@example.com', 'subject', 'body'),
    'mail with an argument' => fn() => mail('a@example.com', 'subject', 'body', '', '-X/dev/null'),
    'pcntl_exec' => function () {
        if (!function_exists('pcntl_exec')) { return 'n/a'; }
        $child = pcntl_fork();
        if ($child === 0) { @pcntl_exec('/bin/sh', ['-c', 'exit 7']); posix_kill(getmypid(), 9); }
        pcntl_waitpid($child, $status);
        return [pcntl_wifexited($status), pcntl_wexitstatus($status)];
    },
    'fsockopen tcp v4' => fn() => talk(fsockopen($host4, 4444, $errno, $errstr, 5), $errno, $errstr),
    'fsockopen tcp v6' => fn() => talk(fsockopen("[$host6]", 4444, $errno, $errstr, 5), $errno, $errstr),
    'fsockopen udp v4' => fn() => sent(fsockopen("udp://$host4", 4444, $errno, $errstr, 5), $errno, $errstr),
    'fsockopen udp v6' => fn() => sent(fsockopen("udp://[$host6]", 4444, $errno, $errstr, 5), $errno, $errstr),
    'stream_socket_client tcp v4' => fn() => stream("tcp://$host4:4444"),
    'stream_socket_client tcp v6' => fn() => stream("tcp://[$host6]:4444"),
    'stream_socket_client udp v4' => fn() => stream("udp://$host4:4444", false),
    'stream_socket_client udp v6' => fn() => stream("udp://[$host6]:4444", false),
    'curl tcp v4' => fn() => curl("http://$host4:4444/"),
    'curl tcp v6' => fn() => curl("http://[$host6]:4444/"),
    'sockets tcp v4' => fn() => raw(AF_INET, SOCK_STREAM, $host4, 4444),
    'sockets tcp v6' => fn() => raw(AF_INET6, SOCK_STREAM, $host6, 4444),
    'sockets udp v4' => fn() => raw(AF_INET, SOCK_DGRAM, $host4, 4444, true),
    'sockets udp v6' => fn() => raw(AF_INET6, SOCK_DGRAM, $host6, 4444, true),
    'sockets tcp v4-mapped' => fn() => raw(AF_INET6, SOCK_STREAM, "::ffff:$host4", 4444),
    'closed port' => fn() => raw(AF_INET, SOCK_STREAM, $host4, 4446),
    'common port' => fn() => curl("http://$host4:8080/"),
    'local range' => fn() => stream("tcp://$inside:4444"),
    'loopback' => fn() => raw(AF_INET, SOCK_STREAM, '127.0.0.1', 4447),
    'unspecified address' => fn() => raw(AF_INET, SOCK_STREAM, '0.0.0.0', 4447),
    'unix socket' => fn() => raw(AF_UNIX, SOCK_STREAM, '/nowhere', 0),
    'own address by udp' => fn() => raw(AF_INET, SOCK_DGRAM, $host4, 9),
    'resolver lookup' => fn() => gethostbyname('name.invalid'),
];
$way = $_GET['way'] ?? '';
header('Content-Type: application/json');
if ($way === 'list') { echo json_encode(array_keys($ways)); return; }
if ($way === 'info') { echo json_encode(['LD_PRELOAD' => getenv('LD_PRELOAD'), 'context' => getenv('PORTCULLIS_CONTEXT')]); return; }
$result = $ways[$way]();
echo json_encode(['result' => $result, 'errors' => $errors], JSON_PARTIAL_OUTPUT_ON_ERROR);
