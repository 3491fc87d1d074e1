//! The Rust twin of `grove/base/bench/bench.hpp`: same options, same JSON line,
//! same checksum, same generator, so that one seed is one workload on both sides.

use std::time::{Duration, Instant};

/// SplitMix64, as `grove/base/random.hpp`.
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// As `grove::bench::Checksum`.
pub struct Checksum(u64);

impl Checksum {
    pub fn word(&mut self, w: u64) {
        self.0 = (self.0 ^ w).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    pub fn bytes(&mut self, data: &[u8]) {
        for chunk in data.chunks(8) {
            let mut w = [0u8; 8];
            w[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(w));
        }
        self.word(data.len() as u64);
    }
    pub fn number(&mut self, value: f64) {
        self.word(value.to_bits());
    }
}

pub struct Parameters {
    pub size: usize,
    pub seed: u64,
}

/// A workload prepares outside `measure`, works inside, then says how much it
/// was and what came out.
pub struct Meter {
    elapsed: Duration,
    work: u64,
    pub checksum: Checksum,
}

impl Meter {
    pub fn measure<T>(&mut self, function: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = function();
        self.elapsed += start.elapsed();
        value
    }
    /// As `measure`, but counts the CPU time of all threads of this process.
    pub fn measure_cpu<T>(&mut self, function: impl FnOnce() -> T) -> T {
        let start = cpu_time();
        let value = function();
        self.elapsed += cpu_time() - start;
        value
    }
    pub fn work(&mut self, units: u64) {
        self.work += units;
    }
}

pub struct Workload {
    pub name: &'static str,
    pub default_size: usize,
    pub unit: &'static str,
    pub run: fn(&Parameters, &mut Meter),
}

fn cpu_time() -> Duration {
    #[repr(C)]
    struct Timespec {
        seconds: std::ffi::c_long,
        nanoseconds: std::ffi::c_long,
    }
    extern "C" {
        fn clock_gettime(clock: std::ffi::c_int, time: *mut Timespec) -> std::ffi::c_int;
    }
    const CLOCK_PROCESS_CPUTIME_ID: std::ffi::c_int = 2; // Linux
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    Duration::new(now.seconds as u64, now.nanoseconds as u32)
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn fail(problem: &str) -> ! {
    eprintln!("{problem}\nusage: --list | --workload NAME [--size N] [--seed N] [--seconds S]");
    std::process::exit(2);
}

/// `fn main() { grove_bench::run(&[Workload { … }]) }`
pub fn run(workloads: &[Workload]) {
    let (mut name, mut size, mut seed, mut seconds) = (String::new(), 0usize, 1u64, 1f64);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        if option == "--list" {
            for w in workloads {
                println!(
                    r#"{{"workload":"{}","size":{},"unit":"{}","baseline_of":""}}"#,
                    w.name, w.default_size, w.unit
                );
            }
            return;
        }
        let Some(value) = arguments.next() else { fail(&format!("no value for {option}")) };
        let taken = match option.as_str() {
            "--workload" => { name = value.clone(); true }
            "--size" => value.parse().map(|v| size = v).is_ok(),
            "--seed" => value.parse().map(|v| seed = v).is_ok(),
            "--seconds" => value.parse().map(|v| seconds = v).is_ok(),
            _ => false,
        };
        if !taken {
            fail(&format!("cannot take {option} {value}"));
        }
    }
    let Some(w) = workloads.iter().find(|w| w.name == name) else {
        fail(&format!("no workload is called '{name}'; --list shows them"))
    };
    let parameters = Parameters { size: if size != 0 { size } else { w.default_size }, seed };
    let (mut work, mut runs, mut checksum, mut elapsed) = (0u64, 0u64, 0u64, Duration::ZERO);
    loop {
        let mut meter =
            Meter { elapsed: Duration::ZERO, work: 0, checksum: Checksum(0xcbf2_9ce4_8422_2325) };
        (w.run)(&parameters, &mut meter);
        if runs > 0 && meter.checksum.0 != checksum {
            eprintln!("workload {name} gave two different checksums for one seed");
            std::process::exit(1);
        }
        checksum = meter.checksum.0;
        runs += 1;
        work += meter.work;
        elapsed += meter.elapsed;
        if elapsed.as_secs_f64() >= seconds {
            break;
        }
    }
    println!(
        r#"{{"workload":"{}","size":{},"seed":{},"runs":{},"work":{},"unit":"{}","seconds":{},"peak_bytes":{},"checksum":"{:016x}"}}"#,
        w.name, parameters.size, seed, runs, work, w.unit, elapsed.as_secs_f64(), peak_bytes(), checksum
    );
}
