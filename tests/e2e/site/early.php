<?php
// The classic: give the whole reply, go on working.
ob_end_clean();
ob_start();
echo "early\n";
header('Connection: close');
header('Content-Length: ' . ob_get_length());
ob_end_flush();
flush();
while (!file_exists($_GET['until'])) {
    usleep(2000);
    clearstatcache();
}
file_put_contents($_GET['mark'], 'worked on');
