// The chat's backend: a page, and one handler for the WebSockets of all rooms. It keeps no
// connection and no state: gripd keeps the WebSockets and asks by HTTP (WebSocket over HTTP), and
// publishes what is said in a room to all who are there. So it may be restarted at any time.
import { fileURLToPath } from 'node:url';

import { createWebSocketControlMessage, WebSocketMessageFormat } from '@fanoutio/grip';
import { ServeGrip } from '@fanoutio/serve-grip/node';
import express from 'express';

const PORT = Number(process.env.PORT || 3000);
const GRIP_URL = process.env.GRIP_URL || 'http://localhost:5561';
const LONGEST = { name: 40, text: 2000 }; // characters

// Some proxies and routers forget a connection on which nothing is said for a minute.
const KEEP_ALIVE = { 'message-type': 'ping', content: '', timeout: 30 };

const serveGrip = new ServeGrip({ grip: GRIP_URL });
const app = express();
app.disable('x-powered-by');
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))));

// No body parser before this: serveGrip reads the events of the body itself.
app.post('/rooms/:room', serveGrip, async (request, response) => {
  const socket = request.grip.wsContext;
  const room = request.params.room;
  if (!socket) {
    response.status(400).send('WebSockets come here, over HTTP.\n');
    return;
  }
  if (!/^[\w-]{1,40}$/.test(room)) {
    response.status(404).send('A room is 1 to 40 letters, digits, - and _.\n');
    return;
  }
  if (socket.isOpening()) {
    socket.accept();
    socket.subscribe(channel(room));
    socket.sendControl(createWebSocketControlMessage('keep-alive', KEEP_ALIVE));
  }
  await answer(socket, room);
  response.end(); // serveGrip puts the events in here
});

// A WebSocket that did not come through gripd.
app.get('/rooms/:room', (request, response) => {
  response.status(426).set('Upgrade', 'websocket').send('WebSockets come through gripd.\n');
});

const server = app.listen(PORT, (error) => {
  if (error) {
    throw error;
  }
  const { port } = server.address();
  console.log(`The chat's backend listens on port ${port}. Start gripd before it:`);
  console.log(`    gripd --route '* localhost:${port},over_http'`);
  console.log('Then open http://localhost:7999');
});

// Whoever is being answered gets the answer; the others wait at gripd for the next process.
process.once('SIGTERM', () => server.close());

// Takes what the client said since the last request. serveGrip's recv() gives texts, null for a
// close, and throws when the client has vanished.
async function answer(socket, room) {
  while (socket.canRecv()) {
    let text;
    try {
      text = socket.recv();
    } catch {
      return; // it has gone, and nobody hears an answer
    }
    if (text === null) {
      socket.close(1000);
      return;
    }
    const fault = await say(room, text);
    if (fault) {
      socket.send(JSON.stringify({ fault }));
    }
  }
}

// Publishes a message to a room. Returns what is wrong with it, if anything is.
async function say(room, text) {
  const message = parse(text);
  if (!message) {
    return `Not understood: a message has a name of 1 to ${LONGEST.name} characters and a text `
      + `of 1 to ${LONGEST.text}.`;
  }
  try {
    const item = new WebSocketMessageFormat(JSON.stringify(message));
    // One after the other, so that what one person says stays in order.
    await serveGrip.getPublisher().publishFormats(channel(room), item);
    return null;
  } catch (error) {
    console.error(`cannot publish to ${GRIP_URL}: ${error.message}`);
    return 'Not sent: the chat cannot reach gripd.';
  }
}

function parse(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const fits = (field) => typeof message?.[field] === 'string'
    && message[field].trim() !== '' && message[field].length <= LONGEST[field];
  if (!fits('name') || !fits('text')) {
    return null;
  }
  return { name: message.name, text: message.text, at: Date.now() };
}

function channel(room) {
  return `chat-${room}`;
}
