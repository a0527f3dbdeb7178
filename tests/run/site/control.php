<?php
// Writes ?write to SENDOFF_CONTROL, and says where that is.
if ($_GET['write'] !== '') {
    file_put_contents($_SERVER['SENDOFF_CONTROL'], $_GET['write']);
}
echo $_SERVER['SENDOFF_CONTROL'];
