<?php
// Ends only when ?n of it run at once, each in a process of its own.
touch($_GET['dir'] . '/here.' . getmypid());
while (count(glob($_GET['dir'] . '/here.*')) < (int) $_GET['n']) {
    usleep(1000);
}
echo getmypid();
