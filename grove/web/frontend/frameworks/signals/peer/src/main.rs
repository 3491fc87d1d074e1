//! reactive_graph (the signals of Leptos) on the workloads of ../../workloads.hpp.

use grove_bench::{run, Meter, Parameters, SplitMix64, Workload};
use reactive_graph::{
    computed::Memo, effect::ImmediateEffect, owner::Owner, prelude::*, signal::RwSignal,
};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

const STRIDE: u32 = 0x9e37_79b9;

fn graph(build: impl FnOnce()) {
    let owner = Owner::new();
    owner.with(build);
    owner.cleanup();
}

fn drive(p: &Parameters, m: &mut Meter, mut step: impl FnMut(u32) -> u32) {
    let mut seen = vec![0u32; p.size];
    m.measure(|| {
        for (i, value) in seen.iter_mut().enumerate() {
            *value = step(i as u32 + 1);
        }
    });
    for value in seen {
        m.checksum.word(u64::from(value));
    }
    m.work(p.size as u64);
}

fn deep(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let mut last = Memo::new(move |_| head.get().wrapping_add(1));
        for _ in 1..50 {
            let before = last;
            last = Memo::new(move |_| before.get().wrapping_add(1));
        }
        drive(p, m, |i| {
            head.set(i.wrapping_mul(STRIDE));
            last.get_untracked()
        });
    });
}

fn broad(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let ends: Vec<Memo<u32>> = (0..50u32)
            .map(|i| {
                let first = Memo::new(move |_| head.get().wrapping_add(i));
                Memo::new(move |_| first.get().wrapping_add(1))
            })
            .collect();
        drive(p, m, |i| {
            head.set(i.wrapping_mul(STRIDE));
            ends.iter().fold(0u32, |sum, end| sum.wrapping_add(end.get_untracked()))
        });
    });
}

fn diamond(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let sides: Vec<Memo<u32>> =
            (0..5u32).map(|i| Memo::new(move |_| head.get().wrapping_add(i))).collect();
        let sum =
            Memo::new(move |_| sides.iter().fold(0u32, |sum, side| sum.wrapping_add(side.get())));
        drive(p, m, |i| {
            head.set(i.wrapping_mul(STRIDE));
            sum.get_untracked()
        });
    });
}

fn triangle(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let mut chain = vec![Memo::new(move |_| head.get().wrapping_add(1))];
        for i in 1..10 {
            let last: Memo<u32> = chain[i - 1];
            chain.push(Memo::new(move |_| last.get().wrapping_add(1)));
        }
        let sum = Memo::new(move |_| {
            chain.iter().fold(head.get(), |sum, link| sum.wrapping_add(link.get()))
        });
        drive(p, m, |i| {
            head.set(i.wrapping_mul(STRIDE));
            sum.get_untracked()
        });
    });
}

fn mux(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let heads: Vec<RwSignal<u32>> = (0..100).map(|_| RwSignal::new(0)).collect();
        let inputs = heads.clone();
        let joined = Memo::new(move |_| inputs.iter().map(|head| head.get()).collect::<Vec<u32>>());
        let ends: Vec<Memo<u32>> = (0..100)
            .map(|i| {
                let split = Memo::new(move |_| joined.with(|all| all[i]));
                Memo::new(move |_| split.get().wrapping_add(1))
            })
            .collect();
        drive(p, m, |i| {
            heads[i as usize % 100].set(i.wrapping_mul(STRIDE));
            ends.iter().fold(0u32, |sum, end| sum.wrapping_add(end.get_untracked()))
        });
    });
}

fn dynamic(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let twice = Memo::new(move |_| head.get().wrapping_mul(2));
        let inverse = Memo::new(move |_| !head.get());
        let sum = Memo::new(move |_| {
            (0..20).fold(0u32, |sum, _| {
                sum.wrapping_add(if head.get() % 2 != 0 { twice.get() } else { inverse.get() })
            })
        });
        drive(p, m, |i| {
            head.set(i);
            sum.get_untracked()
        });
    });
}

fn layers(p: &Parameters, m: &mut Meter) {
    const WIDTH: usize = 1000;
    graph(|| {
        let mut random = SplitMix64::new(p.seed);
        let mut pick = || random.below(WIDTH as u64) as usize;
        let heads: Vec<RwSignal<u32>> = (0..WIDTH as u32).map(RwSignal::new).collect();
        let mut layer: Vec<Memo<u32>> = Vec::new();
        for depth in 0..10 {
            let mut next = Vec::with_capacity(WIDTH);
            for _ in 0..WIDTH {
                let (a, b, c) = (pick(), pick(), pick());
                next.push(if depth == 0 {
                    let (x, y, z) = (heads[a], heads[b], heads[c]);
                    Memo::new(move |_| {
                        x.get().wrapping_add(y.get().wrapping_mul(3)).wrapping_add(z.get())
                    })
                } else {
                    let (x, y, z) = (layer[a], layer[b], layer[c]);
                    Memo::new(move |_| {
                        x.get().wrapping_add(y.get().wrapping_mul(3)).wrapping_add(z.get())
                    })
                });
            }
            layer = next;
        }
        for end in &layer {
            end.get_untracked();
        }
        drive(p, m, |i| {
            heads[i.wrapping_mul(7) as usize % WIDTH].set(i.wrapping_mul(STRIDE));
            layer.iter().step_by(100).fold(0u32, |sum, end| sum.wrapping_add(end.get_untracked()))
        });
    });
}

fn effects(p: &Parameters, m: &mut Meter) {
    graph(|| {
        let head = RwSignal::new(0u32);
        let total = Arc::new(AtomicU32::new(0));
        let kept: Vec<ImmediateEffect> = (0..1000u32)
            .map(|i| {
                let total = total.clone();
                ImmediateEffect::new(move || {
                    total.store(total.load(Relaxed).wrapping_add(head.get() ^ i), Relaxed);
                })
            })
            .collect();
        drive(p, m, |i| {
            head.set(i.wrapping_mul(STRIDE));
            total.load(Relaxed)
        });
        drop(kept);
    });
}

fn create_signals(p: &Parameters, m: &mut Meter) {
    let sum = m.measure(|| {
        let mut sum = 0u32;
        graph(|| {
            let all: Vec<RwSignal<u32>> =
                (0..p.size).map(|i| RwSignal::new((i as u32).wrapping_mul(STRIDE))).collect();
            sum = all.iter().fold(0, |sum, one| sum.wrapping_add(one.get_untracked()));
        });
        sum
    });
    m.checksum.word(u64::from(sum));
    m.work(p.size as u64);
}

fn create_memos(p: &Parameters, m: &mut Meter) {
    let sum = m.measure(|| {
        let mut sum = 0u32;
        graph(|| {
            let head = RwSignal::new(7u32);
            let all: Vec<Memo<u32>> = (0..p.size)
                .map(|i| Memo::new(move |_| head.get().wrapping_add((i as u32).wrapping_mul(STRIDE))))
                .collect();
            sum = all.iter().fold(0, |sum, one| sum.wrapping_add(one.get_untracked()));
        });
        sum
    });
    m.checksum.word(u64::from(sum));
    m.work(p.size as u64);
}

fn main() {
    run(&[
        Workload { name: "deep", default_size: 20_000, unit: "write", run: deep },
        Workload { name: "broad", default_size: 10_000, unit: "write", run: broad },
        Workload { name: "diamond", default_size: 100_000, unit: "write", run: diamond },
        Workload { name: "triangle", default_size: 50_000, unit: "write", run: triangle },
        Workload { name: "mux", default_size: 5_000, unit: "write", run: mux },
        Workload { name: "dynamic", default_size: 50_000, unit: "write", run: dynamic },
        Workload { name: "layers", default_size: 200, unit: "write", run: layers },
        Workload { name: "effects", default_size: 1_000, unit: "write", run: effects },
        Workload { name: "create-signals", default_size: 1_000_000, unit: "signal", run: create_signals },
        Workload { name: "create-memos", default_size: 1_000_000, unit: "memo", run: create_memos },
    ]);
}
