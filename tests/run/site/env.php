<?php
// Every variable as PHP sees it, in a form that needs no parser: one "NAME=value" line each.
header('Content-Type: text/plain');
foreach ($_SERVER as $name => $value) {
    if (is_string($value)) {
        echo $name, '=', $value, "\n";
    }
}
