// The page: a stream of events, and what has come of it.

const KEPT = 20; // lines that stay on the page

const [state, count, lines, form, note] = ['state', 'count', 'lines', 'write', 'note'].map((id) =>
  document.getElementById(id));

function connect() {
  const source = new EventSource(`/events?after=${count.textContent}`);
  source.addEventListener('open', () => show('live'));
  source.addEventListener('message', ({ lastEventId, data }) => add(Number(lastEventId), data));
  source.addEventListener('error', () => {
    show('connecting');
    // A browser comes back by itself, but not after an answer such as 502.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(connect, 1000 + Math.random() * 1000);
    }
  });
}

function show(word) {
  state.textContent = word;
  state.className = word;
}

function add(number, text) {
  if (number <= Number(count.textContent)) return;
  const line = document.createElement('li');
  line.value = number;
  line.textContent = text;
  lines.append(line);
  while (lines.children.length > KEPT) {
    lines.firstElementChild.remove();
  }
  count.textContent = number;
  lines.scrollTop = lines.scrollHeight;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const sent = fetch(form.action, { method: 'POST', body: new FormData(form) });
  const written = await sent.then((answer) => answer.ok, () => false);
  note.textContent = written ? '' : 'Not written: is the site there?';
  if (written) form.reset();
});

connect();
