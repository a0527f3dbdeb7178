<?php
// Gives its whole reply of a known length, goes on until ?go is there, prints some more.
while (ob_get_level()) {
    ob_end_clean();
}
register_shutdown_function(function () {
    file_put_contents($_GET['mark'], '0 shutdown ' . connection_status() . "\n", FILE_APPEND);
});
ignore_user_abort(isset($_GET['ignore']));
header('Content-Type: text/plain');
header('Content-Length: 6');
if (isset($_GET['close'])) {
    header('Connection: close');
}
echo "early\n";
flush();
file_put_contents($_GET['mark'], '0 begin ' . getmypid() . " -\n", FILE_APPEND);
file_put_contents($_GET['mark'], '0 body ' . strlen(file_get_contents('php://input')) . "\n", FILE_APPEND);
while (!file_exists($_GET['go'])) {
    usleep(5000);
    clearstatcache();
}
echo "late\n";
flush();
file_put_contents($_GET['mark'], "0 end\n", FILE_APPEND);
if (isset($_GET['die'])) {
    posix_kill(getmypid(), 9);
}
