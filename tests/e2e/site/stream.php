<?php
// Prints a line, waits for ?until, prints another.
while (ob_get_level()) {
    ob_end_clean();
}
header('Content-Type: text/plain');
echo "first\n";
flush();
while (!file_exists($_GET['until'])) {
    usleep(2000);
    clearstatcache();
}
echo "second\n";
