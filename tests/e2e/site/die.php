<?php
// Kills its own worker.
posix_kill(getmypid(), 9);
