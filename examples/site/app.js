// Waits for a report, or sends it off and follows its status URL until the result is there.
'use strict';

const FINAL = ['succeeded', 'failed', 'dead', 'cancelled'];
const POLLS_MAX = 3; // browsers open about six connections to a server: long polls must leave some

const $ = (id) => document.getElementById(id);
const seconds = (ms) => (ms / 1000).toFixed(1) + ' s';
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let polls = 0;

function show(element, text) {
  element.textContent = text;
  element.hidden = text === '';
}

async function problem(response) {
  let detail = '';
  try {
    detail = (await response.json()).detail || '';
  } catch {
    // no problem+json: the status has to do
  }
  return `${response.status} ${response.statusText}${detail ? ': ' + detail : ''}`;
}

// ---- the old way ----

async function waitForIt() {
  const began = performance.now();
  const timer = setInterval(() => show($('ticking'), `waiting… ${seconds(performance.now() - began)}`), 100);
  $('wait').disabled = true;
  show($('waited'), '');
  show($('waited-result'), '');
  try {
    const response = await fetch('/report.php', { method: 'POST', body: new URLSearchParams(new FormData($('form'))) });
    const text = await response.text();
    show($('waited'), `${response.ok ? 'done' : 'failed'}, after ${seconds(performance.now() - began)} of waiting`);
    show($('waited-result'), text);
  } catch (error) {
    show($('waited'), `no answer: ${error.message}`);
  }
  clearInterval(timer);
  show($('ticking'), '');
  $('wait').disabled = false;
}

// ---- sent off ----

async function sendOff() {
  const body = new URLSearchParams(new FormData($('form')));
  const began = performance.now();
  try {
    const response = await fetch('/report.php', { method: 'POST', headers: { Prefer: 'respond-async' }, body });
    const took = performance.now() - began;
    if (response.status !== 202) {
      show($('accepted'), `not accepted: ${await problem(response)}`);
      return;
    }
    const receipt = await response.json();
    show($('accepted'), `accepted in ${took.toFixed(1)} ms: job ${receipt.id}`);
    follow(addRow(receipt, began));
  } catch (error) {
    show($('accepted'), `not accepted: ${error.message}`);
  }
}

function addRow(receipt, began) {
  const row = $('row').content.firstElementChild.cloneNode(true);
  const job = { row, url: receipt.location, began, state: receipt.state, part: (name) => row.querySelector('.' + name) };
  row.id = 'job-' + receipt.id;
  job.part('id').textContent = receipt.id;
  job.part('id').href = receipt.location;
  job.part('cancel').setAttribute('aria-label', `Cancel job ${receipt.id}`);
  job.part('cancel').addEventListener('click', () => cancel(job));
  job.timer = setInterval(() => show(job.part('elapsed'), seconds(performance.now() - began)), 100);
  $('none').hidden = true;
  $('jobs').prepend(row);
  showState(job, receipt);
  return job;
}

function showState(job, record) {
  job.state = record.state;
  if (job.row.dataset.state !== record.state || job.part('state').textContent !== record.state) {
    job.row.dataset.state = record.state;
    job.part('state').textContent = record.state;
  }
  job.part('cancel').hidden = FINAL.includes(record.state);
  showProgress(job.part('progress'), record);
  show(job.part('note'), FINAL.includes(record.state) ? record.reason || '' :
    record.waiting_for ? `waits for ${record.waiting_for}` : '');
}

function showProgress(bar, record) {
  const progress = record.state === 'running' && record.progress;
  bar.hidden = !progress;
  if (!progress)
    return;
  bar.setAttribute('aria-label', `${progress.done} of ${progress.total ?? '?'} ${progress.note ?? ''}`);
  if (progress.total) {
    bar.max = progress.total;
    bar.value = progress.done;
  }
}

// A long poll answers when the job has ended; it is short, so that its start and its progress are seen.
async function ask(job) {
  const long = polls < POLLS_MAX;
  const wait = long ? 1 : 0;
  if (!long)
    await pause(1000);
  polls += long;
  try {
    return await fetch(`${job.url}?wait=${wait}`, { cache: 'no-store' });
  } finally {
    polls -= long;
  }
}

async function follow(job) {
  while (!FINAL.includes(job.state)) {
    try {
      const response = await ask(job);
      if (response.status === 404) {
        show(job.part('note'), await problem(response));
        break;
      }
      if (response.ok)
        showState(job, await response.json());
      else
        await pause(1000);
    } catch {
      show(job.part('note'), 'the server does not answer; the job is on its disk');
      await pause(1000);
    }
  }
  clearInterval(job.timer);
  show(job.part('elapsed'), seconds(performance.now() - job.began));
  if (job.state === 'succeeded' || job.state === 'failed') {
    const result = await fetch(job.url + '/result');
    show(job.part('result'), result.ok ? await result.text() : await problem(result));
  }
}

async function cancel(job) {
  job.part('cancel').disabled = true;
  const response = await fetch(job.url, { method: 'DELETE' }).catch(() => null);
  job.part('cancel').disabled = false;
  if (!response || (!response.ok && response.status !== 409))
    show(job.part('note'), `not cancelled${response ? ': ' + await problem(response) : ''}`);
}

// A click counts only when the form holds what the script will take.
const whenValid = (action) => () => $('form').reportValidity() && action();

$('wait').addEventListener('click', whenValid(waitForIt));
$('send').addEventListener('click', whenValid(sendOff));
$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  whenValid(sendOff)();
});
