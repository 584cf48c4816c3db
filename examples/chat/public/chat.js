// The chat's page: a WebSocket to the room of the address, and what is said there.

const ROOMS = ['lobby', 'garden', 'kitchen'];
const KEPT = 500; // messages that stay on the page
const LONGEST_PAUSE = 15_000; // milliseconds between two attempts to connect

const find = (id) => document.getElementById(id);
const [state, said, note, form] = ['state', 'said', 'note', 'say'].map(find);
const room = new URLSearchParams(location.search).get('room') || ROOMS[0];

let socket;
let failures = 0;
let timer;

function connect() {
  clearTimeout(timer);
  const address = new URL(`rooms/${encodeURIComponent(room)}`, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  socket = new WebSocket(address);
  socket.addEventListener('open', () => {
    failures = 0;
    note.textContent = '';
    show('live');
  });
  socket.addEventListener('message', ({ data }) => receive(JSON.parse(data)));
  socket.addEventListener('close', ({ wasClean, reason }) => {
    failures += 1;
    show('connecting');
    note.textContent = reason || (wasClean || failures < 2 ? '' : NOT_THERE);
    // Doubled each time, and never the same for all pages: they do not come back as one.
    const pause = Math.min(500 * 2 ** failures, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
    timer = setTimeout(connect, pause);
  });
}

const NOT_THERE = 'No connection. Is gripd running, and was this page opened through it?';

function show(word) {
  state.textContent = word;
  state.className = word;
}

function receive(message) {
  if (message.fault) {
    note.textContent = message.fault;
    return;
  }
  const line = document.createElement('li');
  const time = document.createElement('time');
  const at = new Date(message.at);
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const name = document.createElement('b');
  name.textContent = message.name;
  line.append(time, name, message.text);
  // Whoever has scrolled up to read stays where they are.
  const follow = said.scrollHeight - said.scrollTop - said.clientHeight < 40;
  said.append(line);
  while (said.children.length > KEPT) {
    said.firstChild.remove();
  }
  if (follow) {
    said.scrollTop = said.scrollHeight;
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) {
    note.textContent = 'Not sent: there is no connection yet.';
    return; // the text stays in its field
  }
  note.textContent = '';
  const { name, text } = form.elements;
  localStorage.setItem('name', name.value);
  socket.send(JSON.stringify({ name: name.value, text: text.value }));
  text.value = '';
  text.focus();
});

find('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  location.search = new URLSearchParams(new FormData(event.target));
});

for (const name of ROOMS.includes(room) ? ROOMS : [...ROOMS, room]) {
  const link = document.createElement('a');
  link.href = `?${new URLSearchParams({ room: name })}`;
  link.textContent = name;
  if (name === room) {
    link.setAttribute('aria-current', 'page');
  }
  const entry = document.createElement('li');
  entry.append(link);
  find('rooms').append(entry);
}
document.title = `${room}: Chat`;
form.elements.name.value = localStorage.getItem('name') ?? '';
form.elements[form.elements.name.value ? 'text' : 'name'].focus();
addEventListener('online', () => socket.readyState > WebSocket.OPEN && connect());
connect();
