// alien-signals in JavaScript and Grove's signals in WebAssembly on the bench's
// workloads (workloads.hpp), alternating in one process.
//   node alien.mjs ALIEN_FOLDER MODULE.wasm
// A line for each workload: name, seconds of alien, seconds of Grove, whether the results are equal.

import { readFileSync } from "node:fs";

const { signal, computed, effect, effectScope } = await import(`${process.argv[2]}/esm/index.mjs`);

const STRIDE = 0x9e3779b9;
const times = (a, b) => Math.imul(a, b) >>> 0;
const add = (a, b) => (a + b) >>> 0;
const range = (count) => Array.from({ length: count }, (_, i) => i);

let clock = 0, measured = 0;
const start = () => { clock = performance.now(); };
const stop = () => { measured += performance.now() - clock; };

function drive(size, step) {
  const seen = new Uint32Array(size);
  start();
  for (let i = 0; i < size; ++i) seen[i] = step(i + 1);
  stop();
  return seen;
}

function random(seed) {
  let state = BigInt(seed);
  const mask = (1n << 64n) - 1n;
  return (bound) => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return Number((z ^ (z >> 31n)) % BigInt(bound));
  };
}

const workloads = [
  ["deep", 5000, (size) => {
    const head = signal(0);
    let last = computed(() => add(head(), 1));
    for (let i = 1; i < 50; ++i) { const before = last; last = computed(() => add(before(), 1)); }
    return drive(size, (i) => { head(times(i, STRIDE)); return last(); });
  }],
  ["broad", 5000, (size) => {
    const head = signal(0);
    const ends = range(50).map((i) => {
      const first = computed(() => add(head(), i));
      return computed(() => add(first(), 1));
    });
    return drive(size, (i) => { head(times(i, STRIDE)); return ends.reduce((sum, end) => add(sum, end()), 0); });
  }],
  ["diamond", 50000, (size) => {
    const head = signal(0);
    const sides = range(5).map((i) => computed(() => add(head(), i)));
    const sum = computed(() => { let total = 0; for (const side of sides) total = add(total, side()); return total; });
    return drive(size, (i) => { head(times(i, STRIDE)); return sum(); });
  }],
  ["triangle", 20000, (size) => {
    const head = signal(0);
    const chain = [computed(() => add(head(), 1))];
    for (let i = 1; i < 10; ++i) { const last = chain[i - 1]; chain.push(computed(() => add(last(), 1))); }
    const sum = computed(() => { let total = head(); for (const link of chain) total = add(total, link()); return total; });
    return drive(size, (i) => { head(times(i, STRIDE)); return sum(); });
  }],
  ["mux", 2000, (size) => {
    const heads = range(100).map(() => signal(0));
    const joined = computed(() => heads.map((head) => head()));
    const ends = range(100).map((i) => {
      const split = computed(() => joined()[i]);
      return computed(() => add(split(), 1));
    });
    return drive(size, (i) => { heads[i % 100](times(i, STRIDE)); return ends.reduce((sum, end) => add(sum, end()), 0); });
  }],
  ["dynamic", 50000, (size) => {
    const head = signal(0);
    const twice = computed(() => times(head(), 2));
    const inverse = computed(() => ~head() >>> 0);
    const sum = computed(() => {
      let total = 0;
      for (let i = 0; i < 20; ++i) total = add(total, head() % 2 !== 0 ? twice() : inverse());
      return total;
    });
    return drive(size, (i) => { head(i); return sum(); });
  }],
  ["layers", 100, (size) => {
    const pick = random(1);
    const heads = range(1000).map((i) => signal(i));
    let layer = heads;
    for (let depth = 0; depth < 10; ++depth) {
      const from = layer;
      layer = range(1000).map(() => {
        const x = from[pick(1000)], y = from[pick(1000)], z = from[pick(1000)];
        return computed(() => add(add(x(), times(y(), 3)), z()));
      });
    }
    for (const end of layer) end();
    return drive(size, (i) => {
      heads[(i * 7) % 1000](times(i, STRIDE));
      let sum = 0;
      for (let k = 0; k < 1000; k += 100) sum = add(sum, layer[k]());
      return sum;
    });
  }],
  ["effects", 1000, (size) => {
    const head = signal(0);
    let total = 0;
    const end = effectScope(() => {
      for (let i = 0; i < 1000; ++i) effect(() => { total = add(total, (head() ^ i) >>> 0); });
    });
    const seen = drive(size, (i) => { head(times(i, STRIDE)); return total; });
    end();
    return seen;
  }],
  ["create-signals", 200000, (size) => {
    start();
    const all = range(size).map((i) => signal(times(i, STRIDE)));
    let sum = 0;
    for (const one of all) sum = add(sum, one());
    stop();
    return [sum];
  }],
  ["create-memos", 200000, (size) => {
    start();
    const head = signal(7);
    const all = range(size).map((i) => computed(() => add(head(), times(i, STRIDE))));
    let sum = 0;
    for (const one of all) sum = add(sum, one());
    stop();
    return [sum];
  }],
];

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[3]), { host: { start, stop } });
const grove = instance.exports;
grove._initialize();

const time = (work) => { measured = 0; const result = work(); return [measured, result]; };
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

for (const [which, [name, size, alien]] of workloads.entries()) {
  const theirs = [], ours = [];
  let same = true;
  for (let round = 0; round < 8; ++round) {
    const [a, expected] = time(() => alien(size));
    const [b, count] = time(() => grove.run(which, size, 1));
    const words = new Uint32Array(grove.memory.buffer, grove.words(), count);
    same &&= expected.length === count && expected.every((value, i) => value === words[i]);
    if (round >= 2) { theirs.push(a); ours.push(b); }  // The first rounds warm the compilers up.
  }
  console.log(`${name} ${median(theirs) / 1000} ${median(ours) / 1000} ${same}`);
}
