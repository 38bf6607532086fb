"use strict";
/* Chromium on a page, told what to do by lines of JSON on stdin: drive.js URL.
 * Each command is answered by one line of JSON. */
const readline = require("node:readline");
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const url = process.argv[2];
const origin = new URL(url).origin;
const seen = { console: [], requests: [], foreign: [], csp: [] };

function watch(page) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()))
      seen.console.push(message.text());
    if (/Content Security Policy/.test(message.text()))
      seen.csp.push(message.text());
  });
  page.on("pageerror", (error) => seen.console.push(String(error)));
  page.on("request", (request) => {
    seen.requests.push(request.url());
    if (new URL(request.url()).origin !== origin)
      seen.foreign.push(request.url());
  });
}

/* Pixels of a canvas that are not blank. */
const drawn = `(id) => {
  const canvas = document.getElementById(id);
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const data = context.getImageData(0, 0, copy.width, copy.height).data;
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
  return n;
}`;

const commands = {
  async text(page, { selector }) {
    return page.locator(selector).allInnerTexts();
  },
  async drawn(page, { id }) {
    return page.evaluate(`(${drawn})(${JSON.stringify(id)})`);
  },
  async look(page, { width, scheme, path }) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(300); /* the charts follow by their own timer */
    if (path) await page.screenshot({ path, fullPage: true });
    return page.evaluate(() => ({
      width: document.documentElement.scrollWidth,
      ground: getComputedStyle(document.body).backgroundColor,
    }));
  },
  async axe(browser, { width, scheme }) {
    /* A page of its own, without the policy that would keep axe out. */
    const context = await browser.newContext({ bypassCSP: true,
      viewport: { width, height: 900 }, colorScheme: scheme });
    const page = await context.newPage();
    await page.goto(url);
    await page.locator("#target-rows tr").first().waitFor();
    await page.addScriptTag({ path: axe });
    const found = await page.evaluate(() => window.axe.run());
    await context.close();
    return found.violations.map((v) => `${v.id}: ${v.help}: ${
      v.nodes.map((n) => n.html).slice(0, 3).join(" ")}`);
  },
  async tabs(page, { n }) {
    await page.evaluate(() => document.activeElement.blur());
    const stops = [];
    for (let i = 0; i < n; i += 1) {
      await page.keyboard.press("Tab");
      stops.push(await page.evaluate(() => {
        const at = document.activeElement;
        return at.getAttribute("aria-labelledby") || at.className || at.tagName;
      }));
    }
    return stops;
  },
  async report() {
    return seen;
  },
};

async function main() {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage();
  watch(page);
  await page.goto(url);
  process.stdout.write(`${JSON.stringify("open")}\n`);
  for await (const line of readline.createInterface(process.stdin)) {
    const command = JSON.parse(line);
    const on = command.name === "axe" ? browser : page;
    const answer = await commands[command.name](on, command);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await browser.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
