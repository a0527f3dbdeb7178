<?php
// Says what it was given: method, variables, body.
header('Content-Type: application/json');
$body = file_get_contents('php://input');
echo json_encode(['method' => $_SERVER['REQUEST_METHOD'], 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
    'server' => $_SERVER, 'md5' => md5($body), 'length' => strlen($body), 'body' => substr($body, 0, 2000),
    'files' => array_map(fn ($f) => ['name' => $f['name'], 'size' => $f['size'], 'md5' => md5_file($f['tmp_name'])], $_FILES)],
    JSON_INVALID_UTF8_SUBSTITUTE), "\n";
