<?php
// The MD5 of the uploaded file "f".
echo md5_file($_FILES['f']['tmp_name']);
