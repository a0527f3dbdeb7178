<?php
// Answers as ?answer[] says, one a run: STATUS, or STATUS|Name: value|…; notes each run in ?mark.
$run = (int) ($_SERVER['SENDOFF_RUN'] ?? 1);
$answers = $_GET['answer'];
$words = explode('|', $answers[min($run, count($answers)) - 1]);
file_put_contents($_GET['mark'], "$run " . md5(file_get_contents('php://input')) . "\n", FILE_APPEND);
if (isset($_GET['detach'])) {
    file_put_contents($_SERVER['SENDOFF_CONTROL'], "detach\n");
    usleep(300000); // it is a job by then
}
http_response_code((int) array_shift($words));
foreach ($words as $header) {
    header($header);
}
if (isset($_GET['forever'])) {
    sleep(60);
}
