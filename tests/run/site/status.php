<?php
http_response_code((int) $_GET['status']);
echo 'status';
