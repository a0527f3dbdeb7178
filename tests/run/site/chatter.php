<?php
// Prints until it is stopped; ?done gets "connection_status pid".
register_shutdown_function(function () {
    file_put_contents($_GET['done'] . '.new', connection_status() . ' ' . getmypid());
    rename($_GET['done'] . '.new', $_GET['done']);
});
while (ob_get_level() > 0) {
    ob_end_flush();
}
for (;;) {
    echo str_repeat('chatter ', 1000), "\n";
    flush();
}
