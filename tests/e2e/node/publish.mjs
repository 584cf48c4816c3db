// Publishes one text with the npm library `@fanoutio/grip`.
// Usage: node publish.mjs GRIP_URL stream|response CHANNEL TEXT
import { Publisher } from '@fanoutio/grip';

const [control, format, channel, text] = process.argv.slice(2);
const publisher = new Publisher(control);
if (format === 'stream') {
  await publisher.publishHttpStream(channel, text);
} else {
  await publisher.publishHttpResponse(channel, text);
}
console.log('published');
