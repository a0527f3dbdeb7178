<?php
// The setting that the query names, or the ini files read.
echo $_SERVER['QUERY_STRING'] === 'scanned' ? php_ini_scanned_files() : ini_get($_SERVER['QUERY_STRING']);
