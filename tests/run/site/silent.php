<?php
// Says nothing until the file ?until exists; ?done gets "connection_status pid".
ignore_user_abort(isset($_GET['ignore']));
register_shutdown_function(function () {
    file_put_contents($_GET['done'] . '.new', connection_status() . ' ' . getmypid());
    rename($_GET['done'] . '.new', $_GET['done']);
});
touch($_GET['done'] . '.begun');
while (!file_exists($_GET['until'])) {
    usleep(1000);
    clearstatcache();
}
