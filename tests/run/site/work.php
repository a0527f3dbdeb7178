<?php
// Does what ?do says; ?done gets "connection_status pid" from a shutdown function, which prints, too.
ignore_user_abort(isset($_GET['ignore']));
register_shutdown_function(function () {
    $status = connection_status();
    echo "shut down $status";
    file_put_contents($_GET['done'] . '.new', $status . ' ' . getmypid());
    rename($_GET['done'] . '.new', $_GET['done']);
});

function is_over(): bool
{
    clearstatcache();
    return file_exists($_GET['until']);
}

if ($_GET['do'] !== 'exec') {
    touch($_GET['done'] . '.begun');
}
switch ($_GET['do']) {
    case 'sleep':
        sleep(1000);
        break;
    case 'wait':
        while (!is_over()) {
            usleep(1000);
        }
        break;
    case 'busy':
        set_time_limit(0);
        while (true) {
        }
        break;
    case 'exec': // the command says when it has begun
        exec($_GET['command']);
        break;
    case 'read': // of a socket that may never answer
        $socket = stream_socket_client('unix://' . $_GET['socket']);
        stream_set_timeout($socket, 1000);
        fread($socket, 1);
        break;
    case 'pcre': // backtracks for longer than anybody waits
        ini_set('pcre.jit', '0');
        ini_set('pcre.backtrack_limit', '4000000000');
        for (;;) {
            preg_match('/(?:a+)+$/', str_repeat('a', 60) . 'b');
        }
        break;
    case 'tick': // says something ?times times
        for ($i = 0; $i < (int) $_GET['times']; $i++) {
            usleep(50000);
            if (isset($_GET['control'])) {
                file_put_contents($_SERVER['SENDOFF_CONTROL'], "progress $i\n");
            } else {
                echo 'tick ';
                ob_flush();
                flush();
            }
        }
        break;
    case 'chatter': // until it is over, or stopped
        while (ob_get_level() > 0) {
            ob_end_flush();
        }
        while (!is_over()) {
            echo str_repeat('chatter ', 1000), "\n";
            flush();
        }
        break;
}
