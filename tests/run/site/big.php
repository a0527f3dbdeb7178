<?php
// ?mb times 1 MiB.
while (ob_get_level() > 0) {
    ob_end_flush();
}
for ($i = 0; $i < (int) $_GET['mb']; $i++) {
    echo str_repeat(chr(65 + $i % 26), 1 << 20);
}
