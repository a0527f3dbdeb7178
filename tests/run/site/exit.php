<?php
echo 'leaving';
exit(3);
