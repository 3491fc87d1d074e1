//! The crates blake3, sha2 and sha3 on the same work.

use grove_bench::{run, Meter, Parameters, SplitMix64, Workload};
use sha2::{Digest, Sha256};
use sha3::Keccak256;

fn random_bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut bytes = vec![0u8; size];
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next().to_le_bytes());
    }
    bytes
}

fn blake3_of(data: &[u8]) -> [u8; 32] {
    *blake3::hash(data).as_bytes()
}
fn sha256_of(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}
fn sha256d_of(data: &[u8]) -> [u8; 32] {
    sha256_of(&sha256_of(data))
}

fn bulk(p: &Parameters, meter: &mut Meter, hash: impl Fn(&[u8]) -> [u8; 32]) {
    let data = random_bytes(p.size, p.seed);
    let digest = meter.measure(|| hash(&data));
    meter.work(data.len() as u64);
    meter.checksum.bytes(&digest);
}

fn chained(p: &Parameters, meter: &mut Meter, hash: impl Fn(&[u8]) -> [u8; 32]) {
    let mut message = random_bytes(64, p.seed);
    meter.measure(|| {
        for _ in 0..p.size {
            let digest = hash(&message);
            message[..32].copy_from_slice(&digest);
        }
    });
    meter.work(p.size as u64);
    meter.checksum.bytes(&message);
}

fn short_messages(p: &Parameters, meter: &mut Meter, hash: impl Fn(&[u8]) -> [u8; 32]) {
    let data = random_bytes(64 * 1024, p.seed);
    let mut sum = 0u64;
    meter.measure(|| {
        for i in 0..p.size {
            let at = 64 * (i % 1024);
            let digest = hash(&data[at..at + 64]);
            sum = sum.wrapping_add(u64::from_le_bytes(digest[..8].try_into().unwrap()));
        }
    });
    meter.work(p.size as u64);
    meter.checksum.word(sum);
}

/// In place, an odd last node doubled (Bitcoin) or moved up.
fn merkle(p: &Parameters, meter: &mut Meter, double_last: bool, join: impl Fn(&[u8]) -> [u8; 32]) {
    let mut nodes: Vec<[u8; 32]> = random_bytes(32 * p.size, p.seed)
        .chunks_exact(32)
        .map(|leaf| leaf.try_into().unwrap())
        .collect();
    meter.measure(|| {
        while nodes.len() > 1 {
            let count = nodes.len();
            for i in 0..count / 2 {
                nodes[i] = join(nodes[2 * i..2 * i + 2].as_flattened());
            }
            if count % 2 != 0 {
                let last = nodes[count - 1];
                nodes[count / 2] = if double_last { join([last, last].as_flattened()) } else { last };
            }
            nodes.truncate(count.div_ceil(2));
        }
    });
    meter.work(p.size as u64);
    meter.checksum.bytes(&nodes[0]);
}

fn sorted_keccak(pair: &[u8]) -> [u8; 32] {
    let (left, right) = pair.split_at(32);
    let (low, high) = if right < left { (right, left) } else { (left, right) };
    Keccak256::new().chain_update(low).chain_update(high).finalize().into()
}

fn main() {
    run(&[
        Workload { name: "blake3-bulk@blake3", default_size: 16 << 20, unit: "B", run: |p, m| bulk(p, m, blake3_of) },
        Workload { name: "blake3-8k@blake3", default_size: 8192, unit: "B", run: |p, m| bulk(p, m, blake3_of) },
        Workload { name: "blake3-64@blake3", default_size: 1_000_000, unit: "message", run: |p, m| short_messages(p, m, blake3_of) },
        Workload { name: "sha256-bulk", default_size: 16 << 20, unit: "B", run: |p, m| bulk(p, m, sha256_of) },
        Workload { name: "sha256-64", default_size: 1_000_000, unit: "message", run: |p, m| short_messages(p, m, sha256_of) },
        Workload { name: "sha256-64-chained", default_size: 1_000_000, unit: "message", run: |p, m| chained(p, m, sha256_of) },
        Workload { name: "merkle-sha256", default_size: 1_000_000, unit: "leaf", run: |p, m| merkle(p, m, false, sha256_of) },
        Workload { name: "merkle-sha256d", default_size: 1_000_000, unit: "leaf", run: |p, m| merkle(p, m, true, sha256d_of) },
        Workload { name: "merkle-blake3@blake3", default_size: 1_000_000, unit: "leaf", run: |p, m| merkle(p, m, false, blake3_of) },
        Workload { name: "merkle-keccak@sha3", default_size: 100_000, unit: "leaf", run: |p, m| merkle(p, m, false, sorted_keccak) },
    ]);
}
