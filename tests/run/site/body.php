<?php
// The MD5 of the request's body.
echo md5_file('php://input');
