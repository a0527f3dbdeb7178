<?php
// One script for every way to work: ?kind says which, ?mark is where it notes what happens to it, ?go what it waits for.
// A line of ?mark: NUMBER-OF-RUN begin|end|shutdown ...; the number is 0 for a foreground run.
$run = (int) ($_SERVER['SENDOFF_RUN'] ?? 0);

function note(string $what): void
{
    global $run;
    file_put_contents($_GET['mark'], "$run $what\n", FILE_APPEND | LOCK_EX);
}

function may_end(): bool
{
    clearstatcache();
    return file_exists($_GET['go']);
}

function print_something(): void
{
    echo "something\n";
    flush();
}

set_time_limit(0);
register_shutdown_function(function () {
    usleep(1000 * (int) ($_GET['after'] ?? 0));
    note('shutdown ' . connection_status());
});
if (in_array($_GET['kind'], ['writing', 'ignoring'])) { // the first of its output is out when it says that it has begun
    ignore_user_abort($_GET['kind'] === 'ignoring');
    while (ob_get_level()) {
        ob_end_clean();
    }
    print_something();
}
note('begin ' . getmypid() . ' ' . ($_SERVER['SENDOFF_JOB'] ?? '-'));
if ($run > 1) { // the first run was cut short: this one is quick
    note('end');
    exit;
}
switch ($_GET['kind']) {
    case 'silent':
        while (!may_end()) {
            usleep(10000);
        }
        break;
    case 'ignoring':
    case 'writing':
        while (!may_end()) {
            print_something();
            usleep(10000);
        }
        print_something();
        break;
    case 'flood': // more than a caller that does not read lets through
        while (ob_get_level()) {
            ob_end_clean();
        }
        while (!may_end()) {
            echo str_repeat('something ', 10000);
            flush();
            file_put_contents($_GET['mark'] . '.rounds', '.', FILE_APPEND);
        }
        break;
    case 'sleep':
        sleep((int) $_GET['seconds']);
        break;
    case 'fread': // from a slow neighbour
        $neighbour = fsockopen('127.0.0.1', (int) $_GET['port']);
        fwrite($neighbour, "GET /{$_GET['name']} HTTP/1.0\r\nHost: neighbour\r\n\r\n");
        while (!feof($neighbour)) {
            fread($neighbour, 8192);
        }
        break;
    case 'exec':
        exec('while [ ! -e ' . escapeshellarg($_GET['go']) . ' ]; do sleep 0.05; done');
        break;
    case 'busy':
        $x = 0;
        for ($i = 1; $i % 200000 || !may_end(); $i++) {
            $x += $i % 7;
        }
        break;
    case 'pcre': // each a more doubles it: 24 are about 50 ms
        ini_set('pcre.backtrack_limit', '4000000000');
        while (!may_end()) {
            preg_match('/^(a+)+$/', str_repeat('a', (int) $_GET['as']) . 'b');
        }
        break;
}
note('end');
