<?php
$all = getenv();
ksort($all);
foreach ($all as $name => $value) echo "$name=$value\n";
passthru("sh " . escapeshellarg($argv[1]) . " 'a b' ''", $code);
echo $code, shell_exec('echo shell_exec');
$pipe = popen('echo popen', 'r');
echo fgets($pipe), pclose($pipe), "\n";
