<?php
// Does what `do` says, under the token that the URI carries.
header('Content-Type: text/plain');
switch ($_GET['do'] ?? '') {
    case 'shell': echo var_export(shell_exec('exit 0') !== false, true); break;
    case 'nested': echo var_export(shell_exec("sh -c 'exit 0'; true") !== false, true); break;
    case 'connect': echo var_export(@fsockopen('192.88.1.10', 4444, $errno, $error, 5) !== false, true); break;
    case 'body': echo strlen(file_get_contents('php://input')), shell_exec('exit 0'); break;
    case 'finish': echo 'early'; fastcgi_finish_request(); shell_exec('exit 0'); break;
    case 'shutdown': register_shutdown_function(fn() => shell_exec('exit 0')); echo 'late'; break;
    case 'forge':
        $forged = ['GATEWAY_INTERFACE' => 'CGI/1.1', 'DOCUMENT_ROOT' => '/weak', 'PORTCULLIS_REQUEST' => '', 'PORTCULLIS_CONTEXT' => '1;m;0;0;0;0:0;;x'];
        $process = proc_open(['/bin/sh', '-c', "sh -c 'exit 0'; true"], [], $pipes, null, $forged);
        echo is_resource($process) ? proc_close($process) : 'refused';
        break;
    // What a script accepts by itself, and what it opens in the place of its connection, is not another request.
    case 'accept':
        $listener = socket_create_listen(0);
        socket_getsockname($listener, $address, $port);
        $client = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        socket_connect($client, '127.0.0.1', $port);
        $server = socket_accept($listener);
        echo var_export(shell_exec('exit 0') !== false, true);
        break;
    case 'reuse':
        $params = '';
        foreach (['DOCUMENT_ROOT' => '/weak', 'SERVER_SOFTWARE' => 'nginx/1', 'REQUEST_URI' => '/forged'] as $name => $value) {
            $params .= chr(strlen($name)) . chr(strlen($value)) . $name . $value;
        }
        $file = tempnam('/tmp', 'act');
        file_put_contents($file, pack('CCnnCC', 1, 1, 1, 8, 0, 0) . "\0\1\0\0\0\0\0\0"
            . pack('CCnnCC', 1, 4, 1, strlen($params), 0, 0) . $params . pack('CCnnCC', 1, 4, 1, 0, 0, 0));
        fastcgi_finish_request();
        $open = [];
        for ($i = 0; $i < 8; $i++) { $open[] = $one = fopen($file, 'r'); fread($one, 8192); }
        unlink($file);
        shell_exec('exit 0');
        break;
    default: echo 'quiet';
}
