<?php
// The probe of `portcullis doctor`: a shell that does nothing, and connections that no kernel sends.
switch ($_SERVER['QUERY_STRING']) {
    case 'shell':
        if (!function_exists('shell_exec')) exit('cannot: shell_exec is disabled in PHP');
        shell_exec(': TOKEN');
        break;
    case 'connect':
        if (!function_exists('stream_socket_client')) exit('cannot: stream_socket_client is disabled in PHP');
        $context = stream_context_create(['socket' => ['bindto' => '127.0.0.1:0']]);
        @stream_socket_client('tcp://0.0.0.1:PORT', $number, $message, 2, STREAM_CLIENT_CONNECT, $context);
        break;
    case 'curl':
        if (!function_exists('curl_init')) exit('cannot: PHP has no curl');
        $curl = curl_init('http://0.0.0.1:PORT/');
        curl_setopt_array($curl, [CURLOPT_INTERFACE => 'host!127.0.0.1', CURLOPT_TIMEOUT => 2, CURLOPT_RETURNTRANSFER => true, CURLOPT_PROXY => '']);
        curl_exec($curl);
        break;
}
echo 'done ', function_exists('getmypid') ? getmypid() : 0;
