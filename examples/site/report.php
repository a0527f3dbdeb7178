<?php
// A slow script as there are many: works for some seconds, writes a file, prints a report. It knows nothing of how it was
// started, and need not.
const TO_MAX = 100;
const SECONDS_MAX = 60;
const STEP_US = 250000;

header('Content-Type: text/plain; charset=utf-8');
header('X-Content-Type-Options: nosniff');

function refuse(string $why): never
{
    http_response_code(422);
    echo $why, "\n";
    exit;
}

function parameter(string $name, string $default): string
{
    $value = $_POST[$name] ?? $_GET[$name] ?? $default;
    return is_string($value) ? $value : refuse("$name: give it once");
}

// Where the report is kept: a folder below the temporary one, never the site, under a name nobody can guess. Empty when it
// cannot be kept.
function keep(string $name, string $text): string
{
    $folder = sys_get_temp_dir() . '/sendoff-example';
    if (!is_dir($folder))
        @mkdir($folder, 0700);
    if (!is_dir($folder) || is_link($folder))
        return '';
    $path = "$folder/$name";
    return @file_put_contents($path, $text, LOCK_EX) === strlen($text) ? $path : '';
}

// Tells whoever follows the job how far it is: one line to a file that sendoff names. Without sendoff there is none.
function progress(int $done, int $total, string $note): void
{
    if (isset($_SERVER['SENDOFF_CONTROL']))
        @file_put_contents($_SERVER['SENDOFF_CONTROL'], "progress $done/$total $note\n");
}

$to = parameter('to', 'nobody');
if ($to === '' || strlen($to) > TO_MAX || preg_match('/[[:cntrl:]]/', $to))
    refuse('to: 1 to ' . TO_MAX . ' bytes on one line');
$seconds = filter_var(parameter('seconds', '5'), FILTER_VALIDATE_FLOAT);
if ($seconds === false || !($seconds >= 0 && $seconds <= SECONDS_MAX))
    refuse('seconds: 0 to ' . SECONDS_MAX);

$job = $_SERVER['SENDOFF_JOB'] ?? '';
$run = $_SERVER['SENDOFF_RUN'] ?? '';
$began = hrtime(true);
$lines = [
    'Report to ' . $to,
    '',
    'request   ' . $_SERVER['REQUEST_METHOD'] . ' ' . strtok($_SERVER['REQUEST_URI'], '?'),
    'began     ' . gmdate('Y-m-d H:i:s', (int) $_SERVER['REQUEST_TIME']) . ' UTC',
    'job       ' . ($job === '' ? 'none: somebody waits for this' : "$job, run $run"),
];

$steps = (int) ceil($seconds * 1000000 / STEP_US);
for ($step = 0; $step < $steps; $step++) {
    usleep((int) min(STEP_US, $seconds * 1000000 - $step * STEP_US));
    progress($step + 1, $steps, 'writing');
}

$lines[] = sprintf('worked    %.2f s in %d steps', (hrtime(true) - $began) / 1e9, $steps);
$name = preg_match('/^[A-Za-z0-9_-]{1,64}$/', $job) ? $job : 'foreground-' . bin2hex(random_bytes(8));
$path = keep("report-$name.txt", implode("\n", $lines) . "\n");
$lines[] = 'kept      ' . ($path === '' ? 'no: the temporary folder cannot be used' : $path);
echo implode("\n", $lines), "\n";
