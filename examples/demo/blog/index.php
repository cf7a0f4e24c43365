<?php
// An ordinary page that needs nothing but itself.
echo "Welcome to the blog.\n";
