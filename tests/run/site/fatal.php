<?php
ini_set('display_errors', '0');
there_is_no_such_function();
