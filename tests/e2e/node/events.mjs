// Opens an event stream with the npm client `eventsource` and prints what happens to it, one line
// each: `open`, `message DATA`, `error CODE`. Usage: node events.mjs URL
import { EventSource } from 'eventsource';

const source = new EventSource(process.argv[2]);
source.addEventListener('stream-open', () => console.log('open'));
source.addEventListener('message', (event) => console.log(`message ${event.data}`));
source.addEventListener('error', (event) => console.log(`error ${event.code} ${event.message}`));
