<?php
// The same intruder on the other host, by another way: curl, whose library PHP loads past an ordinary preload.
$curl = curl_init('http://192.88.1.10:4444/');
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 5]);
echo curl_exec($curl) !== false ? "Fetched from port 4444.\n" : 'The connection was blocked: ' . curl_error($curl) . "\n";
