<?php
// What a then-target gets is kept as a line of ?mark.
file_put_contents($_GET['mark'], json_encode(['method' => $_SERVER['REQUEST_METHOD'], 'type' => $_SERVER['CONTENT_TYPE'] ?? null,
    'job' => $_SERVER['SENDOFF_JOB'], 'body' => json_decode(file_get_contents('php://input'))]) . "\n", FILE_APPEND | LOCK_EX);
