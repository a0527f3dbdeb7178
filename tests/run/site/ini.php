<?php
echo ini_get('post_max_size');
