<?php
// What a shell that PHP starts, and what that shell starts, have of the guard and of its variables.
header('Content-Type: application/json');
$look = 'grep -c libportcullis.so /proc/self/maps';
echo json_encode([
    'child' => trim((string) shell_exec($look)),
    'grandchild' => trim((string) shell_exec("sh -c '$look; true'; true")),
    'cleared' => trim((string) shell_exec("env -i /bin/sh -c '$look; true'; true")),
    'visible' => trim((string) shell_exec('env | grep -E "LD_PRELOAD|PORTCULLIS"; true')),
    'own' => [getenv('LD_PRELOAD'), getenv('PORTCULLIS_CONTEXT')],
]);
