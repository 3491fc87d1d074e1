//! The workloads of `lsm_bench.cpp` on fjall, and (suffix `@sled`) on sled: same
//! keys, same values, same durability, same 64 MiB of cache.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use grove_bench::{Meter, Parameters, SplitMix64, Workload};
use std::path::PathBuf;

const VALUE: usize = 100;
const CACHE: u64 = 64 << 20;
const WRITE_BUFFER: u64 = 8 << 20;
const BATCH: usize = 100;
const SCANNED: usize = 10;

/// What the workloads need of an engine.
trait Engine: Sized {
    fn open(path: &PathBuf) -> Self;
    fn put(&self, key: u64, value: &[u8]);
    fn get_word(&self, key: u64) -> u64;
    fn scan(&self, from: u64, count: usize, each: impl FnMut(&[u8], &[u8]));
    fn settle(&self);
}

struct Fjall {
    db: Database,
    keys: Keyspace,
}

impl Engine for Fjall {
    fn open(path: &PathBuf) -> Self {
        let db = Database::builder(path).cache_size(CACHE).open().unwrap();
        let keys = db
            .keyspace("bench", || KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER))
            .unwrap();
        Self { db, keys }
    }
    fn put(&self, key: u64, value: &[u8]) {
        self.keys.insert(key.to_be_bytes(), value).unwrap();
    }
    fn get_word(&self, key: u64) -> u64 {
        let value = self.keys.get(key.to_be_bytes()).unwrap().unwrap();
        u64::from_le_bytes(value[..8].try_into().unwrap())
    }
    fn scan(&self, from: u64, count: usize, mut each: impl FnMut(&[u8], &[u8])) {
        for entry in self.keys.range(from.to_be_bytes()..).take(count) {
            let (key, value) = entry.into_inner().unwrap();
            each(&key, &value);
        }
    }
    fn settle(&self) {
        self.keys.rotate_memtable_and_wait().unwrap();
        self.keys.major_compact().unwrap();
    }
}

impl Fjall {
    fn put_batch_synced(&self, entries: &[(u64, [u8; VALUE])]) {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in entries {
            batch.insert(&self.keys, key.to_be_bytes(), &value[..]);
        }
        batch.commit().unwrap();
    }
}

struct Sled(sled::Db);

impl Engine for Sled {
    fn open(path: &PathBuf) -> Self {
        Self(sled::Config::new().path(path).cache_capacity(CACHE).open().unwrap())
    }
    fn put(&self, key: u64, value: &[u8]) {
        self.0.insert(key.to_be_bytes(), value).unwrap();
    }
    fn get_word(&self, key: u64) -> u64 {
        let value = self.0.get(key.to_be_bytes()).unwrap().unwrap();
        u64::from_le_bytes(value[..8].try_into().unwrap())
    }
    fn scan(&self, from: u64, count: usize, mut each: impl FnMut(&[u8], &[u8])) {
        for entry in self.0.range(from.to_be_bytes()..).take(count) {
            let (key, value) = entry.unwrap();
            each(&key, &value);
        }
    }
    fn settle(&self) {
        self.0.flush().unwrap();
    }
}

/// A fresh directory, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("grove-lsm-peer-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn next_value(random: &mut SplitMix64) -> [u8; VALUE] {
    let mut value = [0u8; VALUE];
    for chunk in value.chunks_mut(8) {
        let word = random.next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    value
}

fn fold_all<E: Engine>(engine: &E, m: &mut Meter) {
    let checksum = &mut m.checksum;
    engine.scan(0, usize::MAX, |key, value| {
        checksum.bytes(key);
        checksum.bytes(value);
    });
}

fn fill_random<E: Engine>(p: &Parameters, m: &mut Meter) {
    let folder = Folder::new();
    let engine = E::open(&folder.0);
    let mut random = SplitMix64::new(p.seed);
    m.measure(|| {
        for _ in 0..p.size {
            let key = random.next();
            engine.put(key, &next_value(&mut random));
        }
    });
    m.work(p.size as u64);
    fold_all(&engine, m);
}

fn fill_batch(p: &Parameters, m: &mut Meter) {
    let folder = Folder::new();
    let engine = Fjall::open(&folder.0);
    let mut random = SplitMix64::new(p.seed);
    let mut entries = Vec::with_capacity(BATCH);
    m.measure(|| {
        for i in 0..p.size {
            let key = random.next();
            entries.push((key, next_value(&mut random)));
            if entries.len() == BATCH || i + 1 == p.size {
                engine.put_batch_synced(&entries);
                entries.clear();
            }
        }
    });
    m.work(p.size as u64);
    fold_all(&engine, m);
}

fn prepared<E: Engine>(folder: &Folder, p: &Parameters, keys: &mut Vec<u64>) -> (E, SplitMix64) {
    let engine = E::open(&folder.0);
    let mut random = SplitMix64::new(p.seed);
    for _ in 0..p.size {
        let key = random.next();
        engine.put(key, &next_value(&mut random));
        keys.push(key);
    }
    engine.settle();
    (engine, random)
}

fn read_random<E: Engine>(p: &Parameters, m: &mut Meter) {
    let folder = Folder::new();
    let mut keys = Vec::new();
    let (engine, mut random) = prepared::<E>(&folder, p, &mut keys);
    let mut sum = 0u64;
    m.measure(|| {
        for _ in 0..p.size {
            let key = keys[random.below(p.size as u64) as usize];
            sum = sum.wrapping_add(engine.get_word(key));
        }
    });
    m.checksum.word(sum);
    m.work(p.size as u64);
}

fn seek<E: Engine>(p: &Parameters, m: &mut Meter) {
    let folder = Folder::new();
    let mut keys = Vec::new();
    let (engine, mut random) = prepared::<E>(&folder, p, &mut keys);
    let mut sum = 0u64;
    let seeks = p.size / SCANNED;
    m.measure(|| {
        for _ in 0..seeks {
            engine.scan(random.next(), SCANNED, |key, value| {
                sum = sum
                    .wrapping_add(u64::from_be_bytes(key.try_into().unwrap()))
                    .wrapping_add(u64::from_le_bytes(value[..8].try_into().unwrap()));
            });
        }
    });
    m.checksum.word(sum);
    m.work(seeks as u64);
}

fn mixed<E: Engine>(p: &Parameters, m: &mut Meter) {
    let folder = Folder::new();
    let mut keys = Vec::new();
    let (engine, mut random) = prepared::<E>(&folder, p, &mut keys);
    let mut sum = 0u64;
    m.measure(|| {
        for i in 0..p.size {
            if i % 2 == 0 {
                let key = keys[random.below(p.size as u64) as usize];
                sum = sum.wrapping_add(engine.get_word(key));
            } else {
                let key = random.next();
                engine.put(key, &next_value(&mut random));
            }
        }
    });
    m.checksum.word(sum);
    m.work(p.size as u64);
    fold_all(&engine, m);
}

fn main() {
    const N: usize = 200_000;
    const B: usize = 20_000;
    let w = |name, default_size, run| Workload { name, default_size, unit: "op", run };
    grove_bench::run(&[
        w("fillrandom", N, fill_random::<Fjall>),
        w("fillrandom@sled", N, fill_random::<Sled>),
        w("fillbatch", B, fill_batch),
        // No fillbatch@sled: its flush is sync_file_range, which leaves the
        // device's cache alone and is no durability to compare with an fsync.
        w("readrandom", N, read_random::<Fjall>),
        w("readrandom@sled", N, read_random::<Sled>),
        w("seek", N, seek::<Fjall>),
        w("seek@sled", N, seek::<Sled>),
        w("mixed", N, mixed::<Fjall>),
        w("mixed@sled", N, mixed::<Sled>),
    ]);
}
