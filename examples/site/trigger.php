<?php
// A page that sends a slow script off and carries on: an ordinary request to this very site, with one more line.
header("Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
header('Cache-Control: no-store');

function h(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

// Connects to the address this request came in on: the Host field is the visitor's and only handed on.
function send_off(string $path, array $form): array
{
    $address = $_SERVER['SERVER_ADDR'];
    $host = $_SERVER['HTTP_HOST'] ?? '';
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Host: ' . (preg_match('/^[A-Za-z0-9.:\[\]_-]{1,255}$/', $host) ? $host : 'localhost'),
            'Prefer: respond-async',
            'Content-Type: application/x-www-form-urlencoded',
            'Connection: close',
        ],
        'content' => http_build_query($form),
        'timeout' => 5,
        'follow_location' => 0,
        'ignore_errors' => true,
    ]]);
    $url = 'http://' . (str_contains($address, ':') ? "[$address]" : $address) . ':' . $_SERVER['SERVER_PORT'] . $path;
    $began = hrtime(true);
    $body = @file_get_contents($url, false, $context, 0, 65536);
    $ms = (hrtime(true) - $began) / 1e6;
    $status = isset($http_response_header[0]) ? (int) substr($http_response_header[0], 9, 3) : 0;
    $receipt = $status === 202 ? json_decode((string) $body, true) : null;
    return ['ms' => $ms, 'status' => $status, 'body' => (string) $body, 'receipt' => is_array($receipt) ? $receipt : null];
}

$to = $_POST['to'] ?? 'grace@example.org';
$to = is_string($to) && $to !== '' && strlen($to) <= 100 ? $to : 'grace@example.org';
$began = $_SERVER['REQUEST_TIME_FLOAT'];
$sent = send_off('/report.php', ['to' => $to, 'seconds' => '5']);
$location = (string) ($sent['receipt']['location'] ?? '');
if (!preg_match('#^/\.sendoff/jobs/[A-Za-z0-9_-]+$#', $location))
    $location = '';
?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sent off by a script</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
  <img src="/favicon.svg" alt="" width="48" height="48">
  <div>
    <h1>Sent off by a script</h1>
    <p>This page is finished. The report it started is not.</p>
  </div>
</header>
<main>
  <section aria-labelledby="what">
    <h2 id="what">What <code>trigger.php</code> did</h2>
<?php if ($location !== ''): ?>
    <p id="accepted">accepted in <?= h(sprintf('%.1f', $sent['ms'])) ?> ms: job <?= h((string) ($sent['receipt']['id'] ?? '')) ?></p>
    <pre id="receipt" class="result" tabindex="0" aria-label="The receipt"><?= h($sent['body']) ?></pre>
    <p><a id="status" href="<?= h($location) ?>">How it is doing</a> ·
       <a id="result" href="<?= h($location) ?>/result">Its result, in five seconds</a></p>
<?php else: ?>
    <p id="refused">not accepted: <?= $sent['status'] ? 'status ' . $sent['status'] : 'the server did not answer' ?></p>
    <pre id="receipt" class="result" tabindex="0" aria-label="The answer"><?= h(substr($sent['body'], 0, 2000)) ?></pre>
<?php endif ?>
    <p>The whole page took <?= h(sprintf('%.1f', (microtime(true) - $began) * 1000)) ?> ms. <a href="/">Back</a></p>
  </section>
</main>
</body>
</html>
