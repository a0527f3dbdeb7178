<?php
// Waits until the file named by ?until exists (or ?ms milliseconds), then answers; marks its beginning and end in ?mark.
$mark = $_REQUEST['mark'] ?? null;
if ($mark) {
    file_put_contents($mark, "begin {$_SERVER['SENDOFF_JOB']} {$_SERVER['SENDOFF_RUN']} " . getmypid() . ' ' . microtime(true) . "\n", FILE_APPEND | LOCK_EX);
}
if (isset($_REQUEST['until'])) {
    while (!file_exists($_REQUEST['until'])) {
        usleep(2000);
        clearstatcache();
    }
}
usleep(1000 * (int) ($_REQUEST['ms'] ?? 0));
if ($mark) {
    file_put_contents($mark, "end {$_SERVER['SENDOFF_JOB']} {$_SERVER['SENDOFF_RUN']} " . getmypid() . ' ' . microtime(true) . "\n", FILE_APPEND | LOCK_EX);
}
header('Content-Type: text/plain');
echo 'done ', $_REQUEST['n'] ?? '', "\n";
