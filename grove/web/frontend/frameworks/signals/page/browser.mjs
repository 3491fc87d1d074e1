// Drives Chromium over the krausest table (krausest.cpp) for the proof.
//   node browser.mjs PLAYWRIGHT_FOLDER CHROMIUM MODULE.wasm OUT_FOLDER
// Lines out: `check NAME true|false`, `figure NAME VALUE UNIT`; the table's HTML
// after each operation goes to OUT_FOLDER/N.html.

import { createServer } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [playwright, chromium, module, out] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { chromium: browserType } = (await import(pathToFileURL(join(playwright, "index.mjs")))).default;

const html = `<!doctype html><meta charset="utf-8"><title>krausest</title><div id="main"></div><table><tbody id="plain"></tbody></table>
<script type="module">
import { mount } from "/dom.mjs";
import { table } from "/vanilla.mjs";
window.page = await mount(await (await fetch("/page.wasm")).arrayBuffer(), document.getElementById("main"));
window.vanilla = table(document.getElementById("plain"), () => "pretty red table");
window.ready = true;
</script>`;
const files = {
  "/": ["text/html", html],
  "/dom.mjs": ["text/javascript", readFileSync(join(here, "../../../../common/dom.mjs"))],
  "/vanilla.mjs": ["text/javascript", readFileSync(join(here, "vanilla.mjs"))],
  "/page.wasm": ["application/wasm", readFileSync(module)],
};
const server = createServer((request, response) => {
  const file = files[request.url];
  response.writeHead(file ? 200 : 404, { "content-type": file?.[0] ?? "text/plain" });
  response.end(file?.[1]);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const browser = await browserType.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.ready, undefined, { timeout: 30000 }).catch((error) => {
    throw new Error(`${error}\n${errors.join("\n")}`);
  });

  const check = (name, good) => console.log(`check ${name} ${good}`);
  const rows = () => page.evaluate(() => Array.from(document.querySelectorAll("#tbody > tr"), (tr) =>
    [Number(tr.cells[0].textContent), tr.cells[1].textContent, tr.className]));
  // Clicks, and counts what the click changed in the page, by kind.
  const click = (selector) => page.evaluate((target) => {
    const observer = new MutationObserver(() => {});
    observer.observe(document.getElementById("main"),
      { subtree: true, childList: true, attributes: true, characterData: true });
    document.querySelector(target).click();
    const count = { childList: 0, attributes: 0, characterData: 0 };
    for (const record of observer.takeRecords()) ++count[record.type];
    observer.disconnect();
    return count;
  }, selector);
  let step = 0;
  const save = async () => writeFileSync(join(out, `${step++}.html`),
    await page.evaluate(() => document.getElementById("main").innerHTML));
  const ids = (list) => list.map((row) => row[0]);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const range = (from, count) => Array.from({ length: count }, (_, i) => from + i);

  await save();
  await click("#run");
  let now = await rows();
  check("create-1000", same(ids(now), range(1, 1000)) && now.every((row) => /^\w+ \w+ \w+$/.test(row[1]) && row[2] === ""));
  await save();

  await click("#run");
  now = await rows();
  check("replace-1000", same(ids(now), range(1001, 1000)));
  await save();

  let expected = now.map(([id, label, kind], i) => [id, i % 10 === 0 ? `${label} !!!` : label, kind]);
  let changes = await click("#update");
  now = await rows();
  check("update-every-10th", same(now, expected));
  check("update-touches-100-text-nodes-and-nothing-else", same(changes, { childList: 0, attributes: 0, characterData: 100 }));
  await save();

  changes = await click("#tbody > tr:nth-child(5) a");
  expected[4][2] = "danger";
  check("select", same(await rows(), expected));
  changes = await click("#tbody > tr:nth-child(7) a");
  expected[4][2] = "";
  expected[6][2] = "danger";
  check("select-another", same(await rows(), expected));
  check("select-touches-two-attributes-and-nothing-else", same(changes, { childList: 0, attributes: 2, characterData: 0 }));
  await save();

  changes = await click("#swaprows");
  [expected[1], expected[998]] = [expected[998], expected[1]];
  check("swap", same(await rows(), expected));
  check("swap-moves-two-rows", same(changes, { childList: 4, attributes: 0, characterData: 0 }));
  await save();

  changes = await click("#tbody > tr:nth-child(4) .glyphicon");
  expected.splice(3, 1);
  check("remove", same(await rows(), expected));
  check("remove-touches-one-row", same(changes, { childList: 1, attributes: 0, characterData: 0 }));
  await save();

  await click("#add");
  now = await rows();
  check("append-1000", same(now.slice(0, 999), expected) && same(ids(now.slice(999)), range(2001, 1000)));
  await save();

  await click("#clear");
  check("clear", (await rows()).length === 0);
  await save();

  await click("#runlots");
  check("create-10000", same(ids(await rows()), range(3001, 10000)));
  await save();
  await click("#clear");
  check("no-errors", errors.length === 0);

  // Script time alone, the two pages in turn; layout and paint are the browser's.
  const times = await page.evaluate(() => {
    const timed = (action) => { const start = performance.now(); action(); return performance.now() - start; };
    const press = (id) => () => document.getElementById(id).click();
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const result = {};
    for (const [name, before, action] of [
      ["create-1000", "clear", "run"], ["replace-1000", "run", "run"], ["update-every-10th", "run", "update"],
      ["swap", "run", "swaprows"], ["append-1000", "run", "add"], ["clear-1000", "run", "clear"]]) {
      const grove = [], plain = [];
      for (let i = 0; i < 24; ++i) {
        press(before)();
        const a = timed(press(action));
        press("clear")();
        vanilla[before]();
        const b = timed(() => vanilla[action]());
        vanilla.clear();
        if (i >= 4) { grove.push(a); plain.push(b); }
      }
      result[name] = [median(grove), median(plain)];
    }
    return result;
  });
  for (const [name, [grove, plain]] of Object.entries(times)) {
    console.log(`figure script-${name} ${grove.toFixed(3)} ms`);
    // Below that the clock's steps (0.1 ms) are most of it.
    if (plain >= 1) console.log(`figure script-${name}-to-vanilla ${(grove / plain).toFixed(3)} ratio`);
  }
  console.log(`figure chromium ${parseInt(browser.version(), 10)} version`);
} finally {
  await browser.close();
  server.close();
}
