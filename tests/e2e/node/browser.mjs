// Opens a page in headless Chromium and prints what the page writes to its console, until standard
// input ends. Usage: node browser.mjs CHROMIUM URL
// Lines of standard input, one after the other, each answered by a line `=NUMBER RESULT`, numbers
// from 1:
//   eval EXPRESSION          its value as JSON
//   press KEY                as a person does
//   reach PATTERN            waits for a page whose address matches
//   size WIDTH HEIGHT        of the window
//   shot light|dark FILE     the whole page
import { createInterface } from 'node:readline';
import { launch, watch } from './launch.mjs';

const [executablePath, url] = process.argv.slice(2);
const browser = await launch(executablePath);
const page = await browser.newPage();
watch(page);
await page.goto(url);

const commands = {
  eval: (expression) => page.evaluate(expression),
  press: (key) => page.keyboard.press(key),
  reach: (pattern) => page.waitForURL(new RegExp(pattern)).then(() => page.url()),
  async size(text) {
    const [width, height] = text.split(' ').map(Number);
    await page.setViewportSize({ width, height });
  },
  async shot(text) {
    const [, colorScheme, path] = text.match(/^(light|dark) (.+)$/);
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path, fullPage: true });
  },
};
let number = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const [, name, rest] = line.match(/^(\w+) ?(.*)$/);
  number += 1;
  console.log(`=${number} ${JSON.stringify(await commands[name](rest)) ?? 'done'}`);
}
await browser.close();
