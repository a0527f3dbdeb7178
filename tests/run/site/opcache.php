<?php
echo ini_get('opcache.file_cache');
