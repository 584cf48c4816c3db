// A WebSocket of the npm client `ws`, with permessage-deflate offered as it does by default and
// the liveness check of its README. Reads commands and tells what happens, one a line:
// websocket_client.py does the same and says which.
// Usage: node websocket.mjs URL PING_EVERY [SUBPROTOCOL...]
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const PATIENCE = 10_000; // ms until a pong must be there

const [url, pingEvery, ...protocols] = process.argv.slice(2);
const socket = new WebSocket(url, protocols);
let pings = 0;
let waiting; // for the next ping, or for the pong of the last one

socket.on('open', () => {
  console.log(`open ${socket.extensions || '-'} ${socket.protocol || '-'}`);
  waiting = setTimeout(ping, pingEvery * 1000);
});
socket.on('message', (data, isBinary) => {
  console.log(isBinary ? `binary ${data.toString('hex')}` : `text ${data}`);
});
socket.on('ping', (data) => console.log(`ping ${data}`));
socket.on('pong', (data) => {
  console.log(`pong ${data}`);
  clearTimeout(waiting);
  waiting = setTimeout(ping, pingEvery * 1000);
});
socket.on('unexpected-response', async (_, response) => {
  const body = (await response.toArray()).join('').trim();
  console.log(`refused ${response.statusCode} ${body}`);
  process.exit();
});
socket.on('error', (error) => console.log(`error ${error.message}`));
socket.on('close', (code, reason) => {
  console.log(`closed ${code} ${reason}`);
  process.exit();
});

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, ...words] = line.split(' ');
  const rest = words.join(' ');
  if (command === 'text') {
    socket.send(rest);
  } else if (command === 'binary') {
    socket.send(Buffer.from(rest, 'hex'));
  } else if (command === 'close') {
    socket.close(Number(words[0]), words.slice(1).join(' '));
  }
});

function ping() {
  if (socket.readyState === WebSocket.OPEN) {
    pings += 1;
    socket.ping(`${pings}`);
    waiting = setTimeout(() => socket.terminate(), PATIENCE);
  }
}
