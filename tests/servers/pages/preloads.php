<?php
// What another preload may stand before, by PHP's functions: a line each.
error_reporting(0);
function says($what, $result) { echo $what, ': ', var_export($result, true), "\n"; }
function read($command) {
    $p = proc_open($command, [1 => ['pipe', 'w'], 2 => ['file', '/dev/null', 'w']], $ends);
    if (!is_resource($p)) { return false; }
    $text = stream_get_contents($ends[1]);
    return trim($text) . ' ' . proc_close($p);
}
function connects($address) { $s = stream_socket_client($address, $errno, $error, 2); return $s ? trim(fgets($s)) : $errno; }
function curl($url) {
    $c = curl_init($url);
    curl_setopt_array($c, [CURLOPT_RETURNTRANSFER => 1, CURLOPT_TIMEOUT => 3, CURLOPT_PROXY => '']);
    return [curl_exec($c), curl_errno($c)];
}
says('shell_exec', shell_exec('echo a shell'));
exec('/bin/true; /bin/false', $lines, $status);
says('exec', $status);
$p = popen('cat > /dev/null', 'w');
says('popen', $p ? [fwrite($p, 'text'), pclose($p)] : false);
says('outside', connects('tcp://192.88.1.10:4446'));
if (function_exists('curl_init')) says('outside by curl', curl('http://192.88.1.10:4446/'));
echo "--\n";
says('inside', connects('tcp://10.1.2.3:4446'));
if (function_exists('curl_init')) says('loopback by curl', curl('http://127.0.0.1:4446/'));
says('program', read(['/usr/bin/id', '-u']));
says('year', date('Y'));
says('year of a program', read(['/usr/bin/date', '+%Y']));
says('mail', mail('a@example.com', 'subject', 'text'));
says('listener', is_resource($s = stream_socket_server('tcp://127.0.0.1:0')));
[$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
says('pair', [fwrite($one, "text\n"), fgets($other)]);
says('localhost', gethostbyname('localhost'));
says('host of its own', gethostbyname('preloaded.example.com'));
if (function_exists('posix_getuid')) says('users', [posix_getpwuid(0)['name'], posix_getpwnam('preloaded')['uid'], posix_getuid()]);
$file = tempnam('/tmp', 'preloads');
says('file', [file_put_contents($file, 'text'), file_get_contents($file), chmod($file, 0600), rename($file, "$file.new"), unlink("$file.new")]);
says('folder', in_array('passwd', scandir('/etc')));
