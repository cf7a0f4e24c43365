<?php
// Runs the program of the tests' siege as a page would: what goes on behind it, or one call.
umask(077);
$process = proc_open(array_merge(['/usr/local/bin/siege'], explode(' ', $_GET['with'])), [1 => ['pipe', 'w']], $pipes);
echo stream_get_contents($pipes[1]);
proc_close($process);
