// A WebSocket that says what standard input says, a line each. Prints `open`, `message DATA`,
// `close CODE`. Usage: node --experimental-websocket native.mjs URL
import { createInterface } from 'node:readline';

const socket = new WebSocket(process.argv[2]);
socket.addEventListener('message', ({ data }) => console.log(`message ${data}`));
socket.addEventListener('close', ({ code }) => {
  console.log(`close ${code}`);
  process.exit();
});
socket.addEventListener('open', async () => {
  console.log('open');
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') socket.close(1000);
    else socket.send(line);
  }
});
