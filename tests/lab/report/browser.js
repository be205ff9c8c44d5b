// The html reports in a real browser: pictures to look at, and what a person does with them.
//   NODE_PATH=FOLDER/node_modules node browser.js CHROMIUM WMLAB SOURCE PICTURES [PAGES]
// Where the folder PAGES has a page already, it is taken as it is. By hand: no test of CTest, which has no packages of npm.
// FOLDER has puppeteer-core and axe-core from npm (npm install puppeteer-core axe-core), which are no part of this tree.
'use strict';
const { execFileSync, spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const puppeteer = require('puppeteer-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const [chromium, wmlab, source, pictures, kept] = process.argv.slice(2).map((word, i) => (i === 0 ? word : path.resolve(word)));
const patience = 600000; // ms: axe takes minutes with the large page on a busy machine
const wrong = [];
const check = (holds, what) => {
  if (!holds) wrong.push(what);
  if (!holds) console.log('WRONG', what);
};

// Runs wmlab, whose exit code says what it found, and returns the page it wrote.
function page(folder, name, words) {
  const file = path.join(kept || folder, name + '.html');
  if (kept && fs.existsSync(file)) return file;
  const ran = spawnSync(wmlab, [...words, '--report', 'html:' + file], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (ran.status > 1) throw new Error(`${words.join(' ')}: ${ran.status}: ${ran.stderr}`);
  return file;
}

function pages(folder) {
  const rules = path.join(source, 'scenarios/rules/kb189416.nft'), kb = path.join(source, 'scenarios/kb189416.yaml');
  fs.writeFileSync(path.join(folder, 'new.nft'), fs.readFileSync(rules, 'utf8').replace('udp dport 1024-5000 accept', 'udp dport 1024-4999 accept')
    .replace('tcp dport 80 accept', 'tcp dport { 80, 81 } accept').split('\n').filter(line => !line.includes('7007')).join('\n'));
  fs.writeFileSync(path.join(folder, 'thousand.nft'), `table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        tcp dport { 80, 1755 } accept
    }
}
`);
  fs.writeFileSync(path.join(folder, 'thousand.yaml'), `version: 1
name: a thousand flows
zones: { inside: { subnet: 10.10.0.0/24, interface: inside }, outside: { subnet: 10.20.0.0/24, interface: outside } }
hosts: { media: { zone: inside, address: 10.10.0.10 }, player: { zone: outside, address: 10.20.0.10 } }
firewall: { ruleset: thousand.nft }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 300ms, content: lecture }
flows:
  - { id: over-tcp, type: mms-tcp, from: player, to: media, count: 300 }
  - { id: over-http, type: http, from: player, to: media, count: 500 }
  - { id: shut, type: http, port: 8080, from: player, to: media, count: 200 }
`);
  return {
    twelve: page(folder, 'twelve', ['run', path.join(source, 'scenarios/mms-blocked.yaml')]),
    baseline: page(folder, 'baseline', ['run', kb, '--baseline', rules, '--ruleset', 'new.nft', '--coverage']),
    audit: page(folder, 'audit', ['audit', path.join(source, 'scenarios/mms-blocked.yaml')]),
    thousand: page(folder, 'thousand', ['run', 'thousand.yaml']),
  };
}

async function look(browser, name, file, phone, dark, scripts) {
  const view = await browser.newPage();
  const what = `${name}, ${phone ? 'phone' : 'desktop'}, ${dark ? 'dark' : 'light'}${scripts ? '' : ', no scripts'}`;
  const said = [];
  view.on('console', message => said.push(message.text()));
  view.on('pageerror', error => said.push(String(error)));
  view.on('request', request => check(/^(file|data):/.test(request.url()), `${what}: asks the network for ${request.url()}`));
  await view.setViewport(phone ? { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 1 } : { width: 1280, height: 900 });
  await view.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  await view.setJavaScriptEnabled(scripts);
  await view.goto('file://' + file, { waitUntil: 'load' });
  await view.screenshot({ path: path.join(pictures, what.replace(/, /g, '-').replace(/ /g, '-') + '.png') });
  const wide = await view.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  check(wide[0] <= wide[1], `${what}: ${wide[0]} wide, and the window is ${wide[1]}`);
  check(said.length === 0, `${what}: the console says ${said.join('; ')}`);
  return { view, what };
}

async function accessible(view, what) {
  // Of a thousand flows of the same make a few dozen: axe looks at every element with every other.
  await view.$$eval('details.flow', all => all.slice(40).forEach(one => one.remove()));
  await view.evaluate(axe);
  const found = await view.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const one of found.violations)
    check(false, `${what}: axe: ${one.id}: ${one.help}: ${one.nodes.length} times, first ${one.nodes[0].html.slice(0, 150)} ${(one.nodes[0].failureSummary || '').replace(/\s+/g, ' ').slice(0, 200)}`);
}

const shown = view => view.$$eval('details.flow', all => all.filter(one => !one.hidden).length);

// What somebody does who got the page by mail.
async function use(browser, file) {
  const { view, what } = await look(browser, 'twelve', file, false, false, true);
  const all = await shown(view);
  check(all >= 9, `${what}: ${all} flows`);
  await view.keyboard.press('/');
  await view.keyboard.type('no-udp');
  check((await shown(view)) < all && (await shown(view)) > 0, `${what}: the search finds ${await shown(view)} of ${all}`);
  check((await view.$eval('#count', one => one.textContent)).startsWith(`${await shown(view)} of ${all}`), `${what}: the count`);
  await view.$eval('#q', one => { one.value = ''; one.dispatchEvent(new Event('input')); });
  for (const kind of ['cause', 'rule', 'zone', 'type']) {
    await view.select('#group', kind);
    check((await view.$$('#list h3')).length > 0 && (await shown(view)) === all, `${what}: grouped by ${kind}`);
  }
  await view.select('#group', 'none');
  await view.select('#state', 'bad');
  check((await shown(view)) < all, `${what}: only what is not as expected`);
  await view.select('#state', 'all');
  await view.keyboard.press('Escape');
  // opens a ladder
  await view.evaluate(() => document.activeElement.blur());
  await view.keyboard.press('j');
  await view.keyboard.press('Enter');
  const open = await view.$('details.flow[open]');
  check(open !== null && (await open.$('svg')) !== null, `${what}: a ladder opens by the keyboard`);
  // follows a link to the rule, in a flow that was stopped by one
  await view.$eval('details.flow:has(a[href^="#L"])', one => { one.open = true; });
  const link = await view.$('details.flow[open] a[href^="#L"]');
  check(link !== null, `${what}: a link to the rule`);
  if (link) {
    const to = await link.evaluate(one => one.getAttribute('href').slice(1));
    await link.click();
    const seen = await view.evaluate(id => {
      const place = document.getElementById(id);
      if (!place) return 'is not there';
      const box = place.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight ? '' : 'is not in sight';
    }, to);
    check(seen === '', `${what}: the link's target ${to} ${seen}`);
    await view.screenshot({ path: path.join(pictures, 'rule.png') });
  }
  const dead = await view.$$eval('a[href^="#"]', all => all.map(one => one.getAttribute('href').slice(1)).filter(id => !document.getElementById(id)));
  check(dead.length === 0, `${what}: links to nothing: ${dead.slice(0, 5)}`);
  await view.click('#theme');
  check((await view.evaluate(() => document.documentElement.dataset.theme)) === 'dark', `${what}: dark by the button`);
  await view.$$eval('details.flow', all => all.forEach(one => { one.open = true; }));
  await accessible(view, what + ', all open, dark');
  await view.screenshot({ path: path.join(pictures, 'all-open.png'), fullPage: true });
  await view.close();
}

(async () => {
  fs.mkdirSync(pictures, { recursive: true });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wmlab-browser-'));
  const browser = await puppeteer.launch({ executablePath: chromium, headless: true, protocolTimeout: patience,
    args: ['--disable-dev-shm-usage', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])] });
  try {
    const files = pages(folder);
    for (const [name, file] of Object.entries(files)) {
      const size = fs.statSync(file).size;
      check(size <= 2 * 1024 * 1024, `${name}: ${size} bytes`);
      console.log(`${name}: ${size} bytes`);
      for (const phone of [false, true])
        for (const dark of [false, true]) {
          const { view, what } = await look(browser, name, file, phone, dark, true);
          await accessible(view, what);
          if (phone) { // what is folded away must fit, too
            await view.$$eval('details', all => all.forEach(one => { one.open = true; }));
            const wide = await view.evaluate(() => document.documentElement.scrollWidth);
            check(wide <= 390, `${what}: with flows open ${wide} wide`);
            await view.screenshot({ path: path.join(pictures, what.replace(/, /g, '-') + '-open.png'), fullPage: true });
          }
          await view.close();
        }
      const { view, what } = await look(browser, name, file, true, false, false);
      const text = await view.evaluate(() => document.body.innerText.length);
      check(text > 500, `${what}: ${text} characters`);
      await view.close();
    }
    await use(browser, files.twelve);
  } finally {
    await browser.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  console.log(wrong.length === 0 ? 'ok: four pages, desktop and phone, light and dark, with scripts and without; axe finds nothing' : `${wrong.length} wrong`);
  process.exit(wrong.length === 0 ? 0 : 1);
})().catch(error => {
  console.error(error);
  process.exit(2);
});
