<?php
// Kills its own worker, after a part of the reply when ?after is there.
if (isset($_GET['after'])) {
    echo 'partial';
    while (ob_get_level() > 0) {
        ob_end_flush();
    }
    flush();
}
posix_kill(getmypid(), 9);
