// Opens a page in headless Chromium and prints what the page writes to its console, until standard
// input ends. Usage: node browser.mjs CHROMIUM URL
import { chromium } from 'playwright-core';

const [executablePath, url] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox', // a container's root cannot make Chromium's sandbox
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    // Nothing but the page itself may use the network.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const page = await browser.newPage();
page.on('console', (message) => console.log(message.text()));
page.on('pageerror', (error) => console.log(`page error: ${error.message}`));
await page.goto(url);

process.stdin.resume();
process.stdin.on('end', () => browser.close());
