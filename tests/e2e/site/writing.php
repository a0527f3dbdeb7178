<?php
// Writes until it is ended; a shutdown function tells what connection_status() was.
while (ob_get_level()) {
    ob_end_clean();
}
register_shutdown_function(function () {
    file_put_contents($_GET['mark'], connection_status() . "\n");
});
file_put_contents($_GET['mark'] . '.begun', "x");
for ($i = 0; $i < 100000; $i++) {
    echo str_repeat('x', 1000), "\n";
    flush();
    usleep(1000);
}
