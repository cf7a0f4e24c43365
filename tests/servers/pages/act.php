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
    default: echo 'quiet';
}
