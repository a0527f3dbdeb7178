<?php
// Writes the MD5 of the request's body to ?done.
ignore_user_abort(true);
file_put_contents($_GET['done'] . '.new', md5_file('php://input'));
rename($_GET['done'] . '.new', $_GET['done']);
