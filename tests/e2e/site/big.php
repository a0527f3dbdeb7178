<?php
// Prints ?mb megabytes, marks in ?mark how far it is.
while (ob_get_level()) {
    ob_end_clean();
}
header('Content-Type: application/octet-stream');
for ($i = 0; $i < (int) $_GET['mb']; $i++) {
    echo str_repeat(chr(97 + $i % 26), 1 << 20);
    flush();
    if (isset($_GET['mark'])) {
        file_put_contents($_GET['mark'], $i + 1);
    }
}
