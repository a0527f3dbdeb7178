<?php
ini_set('log_errors', '1');
ini_set('error_log', '');
error_log('a line for the log');
echo 'logged';
