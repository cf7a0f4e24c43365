<?php
// An ordinary page: it asks a service on a common port, as shops ask payment providers.
$answer = file_get_contents('http://192.88.1.10:8080/price');
echo "Welcome to the shop. Today's price: ", trim((string) $answer), "\n";
