<?php
http_response_code((int) ($_GET['code'] ?? 500));
header('X-Own: yes');
echo "status {$_GET['code']}\n";
