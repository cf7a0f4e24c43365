<?php
// Runs each command that was asked for and says what it said.
$all = [];
foreach (json_decode(file_get_contents(__DIR__ . '/commands.json'), true) as [$command, $environment]) {
    $process = @proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', __DIR__ . '/error', 'w']], $pipes, __DIR__, $environment);
    $said = $process ? stream_get_contents($pipes[1]) : 'not started';
    $code = $process ? proc_close($process) : -1;
    $all[] = [base64_encode($said), base64_encode(file_get_contents(__DIR__ . '/error')), $code];
}
echo json_encode($all);
