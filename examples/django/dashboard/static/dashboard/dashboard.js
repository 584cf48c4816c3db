// Tells the state of the stream, and lets a reader stop the numbers. htmx does everything else.
const state = document.getElementById('state');
const pause = document.getElementById('pause');
let paused = false;

function show(text) {
  state.textContent = text;
  state.dataset.state = text;
}

document.addEventListener('htmx:sseOpen', () => show('live'));
document.addEventListener('htmx:sseError', () => show('connecting'));

// Events that come meanwhile are left out; the next ones bring every number up to date.
document.addEventListener('htmx:sseBeforeMessage', (event) => {
  if (paused) event.preventDefault();
});

pause.addEventListener('click', () => {
  paused = !paused;
  pause.setAttribute('aria-pressed', paused);
});
