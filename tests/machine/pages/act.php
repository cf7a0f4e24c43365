<?php
// Does harmlessly what a web shell does: by `do`, a shell, a connection, or a program.
switch ($_GET['do'] ?? '') {
    case 'shell':
        echo shell_exec('id -un; true') ?: 'refused';
        break;
    case 'command':
        echo shell_exec('/usr/bin/id -un') ?: 'refused';
        break;
    case 'connect':
        @fsockopen('192.88.1.10', 4444, $number, $message, 2);
        echo $message;
        break;
    case 'spoil':
        // Empties the log, or takes it away.
        $log = '/var/log/portcullis/events.jsonl';
        $done = @unlink($log) || @file_put_contents($log, '') !== false;
        if ($file = @fopen($log, 'a')) {
            $done = ftruncate($file, 0) || $done;
        }
        echo $done ? 'spoilt' : 'whole';
        break;
    default:
        echo 'hello';
}
