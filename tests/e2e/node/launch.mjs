// Headless Chromium for the other scripts: launch(CHROMIUM), and watch(PAGE), which prints what a
// page writes to its console.
import { chromium } from 'playwright-core';

export const launch = (executablePath) => chromium.launch({
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

export function watch(page) {
  page.on('console', (message) => console.log(message.text()));
  page.on('pageerror', (error) => console.log(`page error: ${error.message}`));
}
