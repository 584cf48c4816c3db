// Asks for several paths at once on one connection of Node's own HTTP/2 client, and prints what
// comes, a line each: `PATH head STATUS`, `PATH line TEXT`, `PATH end BYTES`, `PATH error CODE`; and
// `goodbye CODE` and `closed` of the connection. The lines of what is longer than a line are left
// out. Usage: node http2.mjs ORIGIN PATH...
// Lines of standard input: `reset PATH`, `get PATH`, `close`.
import { connect, constants } from 'node:http2';
import { createInterface } from 'node:readline';

const [origin, ...paths] = process.argv.slice(2);
const session = connect(origin);
session.on('goaway', (code) => console.log(`goodbye ${code}`));
session.on('close', () => process.exit(console.log('closed')));
session.on('error', (error) => console.log(`failed ${error.code}`));

const streams = {};

function get(path) {
  const stream = session.request({ ':path': path });
  let bytes = 0;
  stream.on('response', (headers) => console.log(`${path} head ${headers[':status']}`));
  stream.on('data', (piece) => {
    bytes += piece.length;
    if (piece.length > 100) return;
    for (const line of piece.toString().trimEnd().split('\n')) console.log(`${path} line ${line}`);
  });
  stream.on('end', () => console.log(`${path} end ${bytes}`));
  stream.on('error', (error) => console.log(`${path} error ${error.code}`));
  streams[path] = stream;
}

paths.forEach(get);
for await (const line of createInterface({ input: process.stdin })) {
  const [name, path] = line.split(' ');
  if (name === 'get') get(path);
  if (name === 'reset') streams[path].close(constants.NGHTTP2_CANCEL);
  if (name === 'close') session.close();
}
