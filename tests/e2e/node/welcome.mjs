// Opens gripd's welcome page in headless Chromium and does what standard input says, a line each,
// until that ends. Usage: node welcome.mjs CHROMIUM URL
//   publish TEXT           types the text into the box and presses Enter
//   send TEXT              types the text, and presses the button for the WebSocket by keyboard
//   copy                   presses each button Copy; prints `copied: TEXT`
//   look WIDTH SCHEME FILE a screenshot of that width, light or dark; prints `too wide: PIXELS`
// Prints `stream state: KIND` and `stream log: LINE` as they come into the page, the same of
// `socket`, and `sent: TEXT`.
import { createInterface } from 'node:readline';
import { launch, watch } from './launch.mjs';

const [executablePath, url] = process.argv.slice(2);
const browser = await launch(executablePath);
const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
const page = await context.newPage();
watch(page);
page.on('request', (request) => {
  if (!request.url().startsWith(url)) console.log(`foreign: ${request.url().slice(0, 40)}`);
});
await page.addInitScript(() => addEventListener('DOMContentLoaded', () => {
  const follow = (name) => {
    const [log, state] = ['log', 'state'].map((id) => document.getElementById(`${name}-${id}`));
    const tellState = () => console.log(`${name} state: ${state.dataset.state}`);
    const tellEntry = (entry) => console.log(`${name} log: ${entry.lastChild.textContent}`);
    const tellEntries = (records) =>
      records.forEach((record) => record.addedNodes.forEach(tellEntry));
    new MutationObserver(tellState).observe(state, { attributes: true });
    new MutationObserver(tellEntries).observe(log, { childList: true });
    // The page is at work already: what it did until now is told first.
    tellState();
    log.childNodes.forEach(tellEntry);
  };
  ['stream', 'socket'].forEach(follow);
  const sent = document.getElementById('sent');
  new MutationObserver(() => console.log(`sent: ${sent.textContent}`))
    .observe(sent, { childList: true });
}));
await page.goto(url);

const does = {
  async publish(...words) {
    await page.getByLabel('Message').fill(words.join(' '));
    await page.keyboard.press('Enter');
  },
  async send(...words) {
    await page.getByLabel('Message').fill(words.join(' '));
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
  },
  async copy() {
    for (const button of await page.locator('.copy button').all()) {
      await button.press('Enter');
      await button.and(page.getByText('Copied')).waitFor();
      console.log(`copied: ${await page.evaluate(() => navigator.clipboard.readText())}`);
    }
  },
  async look(width, colorScheme, path) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: Number(width), height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    console.log(`too wide: ${wide - width}`);
    await page.screenshot({ path, fullPage: true });
    console.log(`looked: ${width}`);
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ');
  await does[command](...words);
}
await browser.close();
