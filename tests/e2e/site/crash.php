<?php
// Says in ?mark when a run begins and ends, and whether the body came whole.
$job = "{$_SERVER['SENDOFF_JOB']} {$_SERVER['SENDOFF_RUN']} " . getmypid();
$body = file_get_contents('php://input');
$whole = md5($body) === $_SERVER['HTTP_X_MD5'] ? 'whole' : 'broken';
file_put_contents($_GET['mark'], "begin $job $whole " . hrtime(true) . "\n", FILE_APPEND | LOCK_EX);
usleep(mt_rand(0, 4000));
file_put_contents($_GET['mark'], "end $job $whole " . hrtime(true) . "\n", FILE_APPEND | LOCK_EX);
echo "ran $job ", str_repeat('x', strlen($body) % 7 === 0 ? 100000 : 10);
