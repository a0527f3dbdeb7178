<?php
// Works as ?do says. Notes its start and its end in ?dir/log, one write each, and holds ?dir/locks/JOB from one to the other:
// the kernel lets go of that lock when the worker has died, not sooner; a run that finds it taken overlaps another.
['dir' => $dir, 'do' => $do] = $_GET;
$job = $_SERVER['SENDOFF_JOB'];
$run = (int) $_SERVER['SENDOFF_RUN'];
$log = fopen("$dir/log", 'a');
$lock = fopen("$dir/locks/$job", 'c');
$say = function ($what) use ($log, $do, $job, $run) {
    fwrite($log, "$what site/$do $job $run " . getmypid() . ' ' . hrtime(true) . "\n");
};
$say(flock($lock, LOCK_EX | LOCK_NB) ? 'start' : 'overlap');
register_shutdown_function(function () use ($say, $lock) {
    $say('end');
    flock($lock, LOCK_UN);
});
header('Content-Type: text/plain');
switch ($do) {
case 'ok':
    usleep(mt_rand(0, 5000));
    break;
case 'large':
    echo str_repeat('x', 100000);
    break;
case 'later':
    if ($run == 1) {
        http_response_code(503);
        header('Retry-After: 1');
    }
    break;
case 'asks':
    if ($run == 1) {
        header('Sendoff-Retry: 50ms', true, 500);
    }
    break;
case 'exits':
    http_response_code(404);
    exit(3);
case 'throws':
    throw new Exception('thrown on purpose');
case 'fails':
    http_response_code(503);
    break;
case 'dies':
    posix_kill(getmypid(), 9);
    break;
case 'hangs':
    while (true) {
        usleep(1000000);
    }
case 'deaf':
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    fread($pair[0], 1);
    break;
}
echo "$job $run\n";
