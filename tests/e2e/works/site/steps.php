<?php
// Does the steps of ?step[] one after the other: @FILE waits for a file, !TEXT prints, *N writes N bytes
// without a newline to SENDOFF_CONTROL, anything else is a line for it.
function note(string $what): void
{
    file_put_contents($_GET['mark'], ($_SERVER['SENDOFF_RUN'] ?? 0) . " $what\n", FILE_APPEND | LOCK_EX);
}

register_shutdown_function(function () {
    note('shutdown ' . connection_status());
});
while (ob_get_level()) {
    ob_end_clean();
}
note('begin ' . getmypid() . ' ' . ($_SERVER['SENDOFF_JOB'] ?? '-'));
foreach ($_GET['step'] ?? [] as $step) {
    if ($step[0] === '@') {
        while (!file_exists(substr($step, 1))) {
            usleep(5000);
            clearstatcache();
        }
    } elseif ($step[0] === '!') {
        echo substr($step, 1);
        flush();
    } elseif ($step[0] === '*') {
        file_put_contents($_SERVER['SENDOFF_CONTROL'], str_repeat('x', (int) substr($step, 1)));
    } else {
        file_put_contents($_SERVER['SENDOFF_CONTROL'], "$step\n");
    }
}
note('end');
