<?php
// An ordinary page: PHP's mail() starts `sh -c "/usr/sbin/sendmail -t -i"`, which the built-in policy allows.
echo mail('shop@example.com', 'A question', 'Is it blue?') ? "Thank you for your message.\n" : "No mail today.\n";
