<?php
// Writes a line to SENDOFF_CONTROL and leaves a program behind that writes another one when ?go is there; it opens
// the FIFO before that with ?open=1.
$control = $_SERVER['SENDOFF_CONTROL'];
file_put_contents($control, "of the first\n");
$open = $_GET['open'] ? "exec 3>$control;" : '';
$write = $_GET['open'] ? 'echo late >&3' : "echo late >$control";
exec("(trap '' PIPE; $open touch {$_GET['begun']}; while [ ! -e {$_GET['go']} ]; do sleep 0.01; done;"
    . " $write; touch {$_GET['written']}) >/dev/null 2>&1 &");
