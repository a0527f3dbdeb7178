<?php
// The page itself. What happens on it is in app.js; what it starts is report.php.
header("Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
header('Cache-Control: no-store');

function h(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

$host = substr($_SERVER['HTTP_HOST'] ?? 'localhost', 0, 255);
$server = substr($_SERVER['SERVER_SOFTWARE'] ?? '', 0, 100);
?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="A slow script, waited for and sent off.">
<title>Send the request off, and carry on</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<script src="/app.js" defer></script>
</head>
<body>
<header>
  <img src="/favicon.svg" alt="" width="48" height="48">
  <div>
    <h1>Send the request off, and carry on</h1>
    <p><code>report.php</code> takes some seconds. Wait for it, or send it off: the script is the same.</p>
  </div>
</header>

<main>
  <form id="form" class="fields">
    <label>Report to
      <input id="to" name="to" value="ada@example.org" maxlength="100" autocomplete="off" required>
    </label>
    <label>Seconds it takes
      <input id="seconds" name="seconds" type="number" value="5" min="0" max="60" required>
    </label>
  </form>

  <div class="ways">
    <section aria-labelledby="old">
      <h2 id="old">The old way</h2>
      <p>A plain <code>POST /report.php</code>. Whoever clicked waits until the script is done.</p>
      <button id="wait" type="button" class="plain">Run the report the old way (wait for it)</button>
      <p class="outcome"><span id="ticking" aria-hidden="true"></span><span id="waited" role="status"></span></p>
      <pre id="waited-result" class="result" hidden tabindex="0" aria-label="The report"></pre>
    </section>

    <section aria-labelledby="new">
      <h2 id="new">Sent off</h2>
      <p>The same request with one more line: <code>Prefer: respond-async</code>. It is on disk before it is accepted.</p>
      <button id="send" type="button">Send it off</button>
      <p id="accepted" class="outcome" role="status"></p>
    </section>
  </div>

  <section aria-labelledby="sent">
    <h2 id="sent">What was sent off</h2>
    <p id="none">Nothing yet. Click twice or ten times: what finds no free worker waits on disk, and survives a <code>kill -9</code>.</p>
    <ol id="jobs"></ol>
  </section>

  <section aria-labelledby="more">
    <h2 id="more">More</h2>
    <form action="/trigger.php" method="post">
      <button id="trigger" class="plain">Let a PHP script send it off</button>
      <span>A page that starts <code>report.php</code> and is finished long before it.</span>
    </form>
    <p>The same from a terminal:</p>
    <pre class="result" tabindex="0" aria-label="Commands">curl -i http://<?= h($host) ?>/report.php -d to=ada -H 'Prefer: respond-async'</pre>
    <p>Files are served too, with ranges and validators: <a href="/recipients.csv" download>recipients.csv</a></p>
  </section>
</main>

<footer>
  <p>PHP <?= h(PHP_VERSION) ?> behind <?= h($server) ?></p>
</footer>

<template id="row">
  <li class="job" data-state="ready">
    <div class="line">
      <a class="id" href="#"></a>
      <span class="state" role="status">ready</span>
      <span class="elapsed"></span>
      <button class="cancel plain" type="button">Cancel</button>
    </div>
    <progress class="progress" hidden></progress>
    <p class="note"></p>
    <pre class="result" hidden tabindex="0" aria-label="The report"></pre>
  </li>
</template>
</body>
</html>
