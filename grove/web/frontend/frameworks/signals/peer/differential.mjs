// Runs the proof's random graphs (one a line; signals_proof.cpp says how) on
// alien-signals and @preact/signals-core. A line out for each line in and library:
// hash of values, hash of effects' runs, runs.
//   node differential.mjs ALIEN_FOLDER PREACT_FOLDER < programs

import { readFileSync } from "node:fs";

const alien = await import(`${process.argv[2]}/esm/index.mjs`);
const preact = await import(`${process.argv[3]}/dist/signals-core.mjs`);

const libraries = [
  {
    signal(value) { const s = alien.signal(value); return { get: () => s(), set: (v) => { s(v); } }; },
    memo(f) { const m = alien.computed(f); return { get: () => m() }; },
    effect: (f) => alien.effect(() => { f(); }),
    batch(f) { alien.startBatch(); try { f(); } finally { alien.endBatch(); } },
    untrack(f) { const saved = alien.setActiveSub(undefined); try { return f(); } finally { alien.setActiveSub(saved); } },
    owns: true,
  },
  {
    signal(value) { const s = preact.signal(value); return { get: () => s.value, set: (v) => { s.value = v; } }; },
    memo(f) { const m = preact.computed(f); return { get: () => m.value }; },
    effect: (f) => preact.effect(() => { f(); }),
    batch: preact.batch,
    untrack: preact.untracked,
    owns: false,
  },
];

function compute(kind, deps) {
  const sum = () => deps.reduce((total, dep) => (total + dep.get()) >>> 0, 0);
  switch (kind) {
    case 1: return sum() & 1;
    case 2: return deps[0].get() & 1 ? deps[1 % deps.length].get() : deps[deps.length - 1].get();
    case 3: return sum() >>> 4;
    default: return sum();
  }
}

function run(library, program) {
  let at = 0;
  const next = () => program[at++];
  const [signals, memos, effects] = [next(), next(), next()];
  const nodes = [];
  for (let i = 0; i < signals; ++i) nodes.push(library.signal(next()));
  const list = () => Array.from({ length: next() }, () => nodes[next()]);
  for (let i = 0; i < memos; ++i) {
    const kind = next();
    const deps = list();
    nodes.push(library.memo(() => compute(kind, deps)));
  }
  const runs = new Array(effects * 2).fill(0);
  const last = new Array(effects * 2).fill(0);
  const stops = [];
  for (let i = 0; i < effects; ++i) {
    const kind = next();
    const deps = list();
    if (kind === 4 && !library.owns) return "- - 0";
    stops.push(library.effect(() => {
      ++runs[i];
      if (kind !== 4) { last[i] = compute(kind, deps); return; }
      last[i] = deps[0].get();
      library.effect(() => { ++runs[effects + i]; last[effects + i] = compute(0, deps); });
    }));
  }
  let values = 0, counts = 0;
  const fold = (hash, value) => (Math.imul(hash ^ value, 0x9e3779b1) + 0x7f4a7c15) >>> 0;
  const record = () => {
    for (const value of last) values = fold(values, value);
    for (const count of runs) counts = fold(counts, count);
  };
  record();
  for (let steps = next(); steps > 0; --steps) {
    switch (next()) {
      case 0: { const s = next(); nodes[s].set(next()); break; }
      case 1: library.batch(() => {
        for (let k = next(); k > 0; --k) { const s = next(); nodes[s].set(next()); }
      }); break;
      case 2: values = fold(values, nodes[next()].get()); break;
      case 3: stops[next()](); break;
    }
    record();
  }
  return `${values} ${counts} ${runs.reduce((a, b) => a + b, 0)}`;
}

const out = [];
for (const line of readFileSync(0, "utf8").split("\n")) {
  if (line === "") continue;
  const program = line.split(" ").map(Number);
  for (const library of libraries) out.push(run(library, program));
}
process.stdout.write(out.join("\n") + "\n");
