// Opens a page in headless Chromium and prints what the page writes to its console, until standard
// input ends. Usage: node browser.mjs CHROMIUM URL
import { launch, watch } from './launch.mjs';

const [executablePath, url] = process.argv.slice(2);
const browser = await launch(executablePath);
const page = await browser.newPage();
watch(page);
await page.goto(url);

process.stdin.resume();
process.stdin.on('end', () => browser.close());
