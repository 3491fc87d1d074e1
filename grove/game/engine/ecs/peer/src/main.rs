//! The workloads of ecs_bench_suite on bevy_ecs and, with the suffix @hecs, on
//! hecs. One seed gives one world and one checksum, here and in ecs_bench.cpp.

use bevy_ecs::prelude::*;
use bevy_tasks::{ComputeTaskPool, TaskPool};
use grove_bench::{Checksum, Meter, Parameters, SplitMix64, Workload};

#[derive(Component, Clone, Copy)]
struct Vec3([f32; 3]);

#[derive(Component, Clone, Copy)]
struct Transform([f32; 16]);
#[derive(Component, Clone, Copy)]
struct Position(Vec3);
#[derive(Component, Clone, Copy)]
struct Rotation(#[allow(dead_code)] Vec3);
#[derive(Component, Clone, Copy)]
struct Velocity(Vec3);

fn number(random: &mut SplitMix64) -> f32 {
    (random.below(2001) as f32 - 1000.0) * 0.0078125
}
fn vector(random: &mut SplitMix64) -> Vec3 {
    let x = number(random);
    let y = number(random);
    let z = number(random);
    Vec3([x, y, z])
}
/// Strictly diagonally dominant, so it has an inverse.
fn matrix(random: &mut SplitMix64) -> Transform {
    let mut m = [0.0; 16];
    for (i, cell) in m.iter_mut().enumerate() {
        *cell = number(random) * 0.0625 + if i % 5 == 0 { 4.0 } else { 0.0 };
    }
    Transform(m)
}
fn bundle(random: &mut SplitMix64) -> (Transform, Position, Rotation, Velocity) {
    let t = matrix(random);
    let p = vector(random);
    let r = vector(random);
    let v = vector(random);
    (t, Position(p), Rotation(r), Velocity(v))
}
fn fold(checksum: &mut Checksum, v: &Vec3) {
    for x in v.0 {
        checksum.number(x as f64);
    }
}

/// Gauss-Jordan without pivoting, row by row.
#[inline]
fn inverse(source: &[f32; 16]) -> [f32; 16] {
    let mut a = *source;
    let mut b = [0.0f32; 16];
    for i in 0..4 {
        b[i * 5] = 1.0;
    }
    for i in 0..4 {
        let scale = 1.0 / a[i * 5];
        for k in 0..4 {
            a[i * 4 + k] *= scale;
            b[i * 4 + k] *= scale;
        }
        for r in 0..4 {
            if r == i {
                continue;
            }
            let factor = a[r * 4 + i];
            for k in 0..4 {
                a[r * 4 + k] -= factor * a[i * 4 + k];
                b[r * 4 + k] -= factor * b[i * 4 + k];
            }
        }
    }
    b
}
#[inline]
fn heavy(transform: &mut [f32; 16], p: &mut [f32; 3]) {
    for _ in 0..100 {
        *transform = inverse(transform);
    }
    let m = &*transform;
    *p = [
        m[0] * p[0] + m[1] * p[1] + m[2] * p[2],
        m[4] * p[0] + m[5] * p[1] + m[6] * p[2],
        m[8] * p[0] + m[9] * p[1] + m[10] * p[2],
    ];
}

fn simple_insert(parameters: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(parameters.seed);
    let first = bundle(&mut random);
    let count = parameters.size;
    let (mut world, entities) = meter.measure(|| {
        let mut world = World::new();
        let entities: Vec<Entity> = world.spawn_batch((0..count).map(|_| first)).collect();
        (world, entities)
    });
    meter.work(count as u64);
    for e in entities {
        fold(
            &mut meter.checksum,
            &world.get_mut::<Position>(e).unwrap().0,
        );
    }
}

const REPEATS: usize = 1000;

fn simple_iter(parameters: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(parameters.seed);
    let mut world = World::new();
    let entities: Vec<Entity> = (0..parameters.size)
        .map(|_| world.spawn(bundle(&mut random)).id())
        .collect();
    let mut query = world.query::<(&Velocity, &mut Position)>();
    meter.measure(|| {
        for _ in 0..REPEATS {
            query.iter_mut(&mut world).for_each(|(v, mut p)| {
                let p = &mut p.0 .0;
                p[0] += v.0 .0[0];
                p[1] += v.0 .0[1];
                p[2] += v.0 .0[2];
            });
        }
    });
    meter.work((parameters.size * REPEATS) as u64);
    for e in entities {
        fold(&mut meter.checksum, &world.get::<Position>(e).unwrap().0);
    }
}

#[derive(Component, Clone, Copy)]
struct Data(f32);

macro_rules! letters {
    ($($name:ident),*) => {
        $(#[derive(Component, Clone, Copy)] struct $name(#[allow(dead_code)] f32);)*
        fn spawn_fragments(world: &mut World, count: usize, random: &mut SplitMix64) -> Vec<Entity> {
            let mut all = Vec::new();
            $(for _ in 0..count { let d = Data(number(random)); all.push(world.spawn(($name(0.0), d)).id()); })*
            all
        }
        fn spawn_fragments_hecs(world: &mut hecs::World, count: usize, random: &mut SplitMix64) -> Vec<hecs::Entity> {
            let mut all = Vec::new();
            $(for _ in 0..count { let d = Data(number(random)); all.push(world.spawn(($name(0.0), d))); })*
            all
        }
    };
}
letters!(A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z);

fn fragmented_iter(parameters: &Parameters, meter: &mut Meter) {
    let mut world = World::new();
    let entities = spawn_fragments(
        &mut world,
        parameters.size,
        &mut SplitMix64::new(parameters.seed),
    );
    let mut query = world.query::<&mut Data>();
    meter.measure(|| {
        for _ in 0..REPEATS {
            query
                .iter_mut(&mut world)
                .for_each(|mut d| d.0 = d.0 * 0.5 + 1.0);
        }
    });
    meter.work((entities.len() * REPEATS) as u64);
    for e in entities {
        meter
            .checksum
            .number(world.get::<Data>(e).unwrap().0 as f64);
    }
}

fn heavy_compute(parameters: &Parameters, meter: &mut Meter) {
    ComputeTaskPool::get_or_init(TaskPool::default);
    let mut random = SplitMix64::new(parameters.seed);
    let mut world = World::new();
    let entities: Vec<Entity> = (0..parameters.size)
        .map(|_| world.spawn(bundle(&mut random)).id())
        .collect();
    let mut query = world.query::<(&mut Position, &mut Transform)>();
    meter.measure(|| {
        query
            .par_iter_mut(&mut world)
            .for_each(|(mut p, mut t)| heavy(&mut t.0, &mut p.0 .0));
    });
    meter.work(parameters.size as u64);
    for e in entities {
        fold(&mut meter.checksum, &world.get::<Position>(e).unwrap().0);
    }
}

fn swap_ab(mut query: Query<(&mut A, &mut B)>) {
    query
        .iter_mut()
        .for_each(|(mut a, mut b)| std::mem::swap(&mut a.0, &mut b.0));
}
fn swap_cd(mut query: Query<(&mut C, &mut D)>) {
    query
        .iter_mut()
        .for_each(|(mut c, mut d)| std::mem::swap(&mut c.0, &mut d.0));
}
fn swap_ce(mut query: Query<(&mut C, &mut E)>) {
    query
        .iter_mut()
        .for_each(|(mut c, mut e)| std::mem::swap(&mut c.0, &mut e.0));
}

fn schedule(parameters: &Parameters, meter: &mut Meter) {
    let n = parameters.size;
    let mut random = SplitMix64::new(parameters.seed);
    let mut world = World::new();
    let mut next = || number(&mut random);
    let mut entities = Vec::new();
    for _ in 0..n {
        let (a, b) = (A(next()), B(next()));
        entities.push(world.spawn((a, b)).id());
    }
    for _ in 0..n {
        let (a, b, c) = (A(next()), B(next()), C(next()));
        entities.push(world.spawn((a, b, c)).id());
    }
    for _ in 0..n {
        let (a, b, c, d) = (A(next()), B(next()), C(next()), D(next()));
        entities.push(world.spawn((a, b, c, d)).id());
    }
    for _ in 0..n {
        let (a, b, c, e) = (A(next()), B(next()), C(next()), E(next()));
        entities.push(world.spawn((a, b, c, e)).id());
    }
    let mut schedule = Schedule::default();
    schedule.add_systems((swap_ab, swap_cd, swap_ce));
    schedule.run(&mut world); // builds its graph and starts its threads
    const FRAMES: usize = 100;
    meter.measure(|| {
        for _ in 0..FRAMES {
            schedule.run(&mut world);
        }
    });
    meter.work((n * 6 * FRAMES) as u64);
    for e in entities {
        meter.checksum.number(world.get::<A>(e).unwrap().0 as f64);
        meter
            .checksum
            .number(world.get::<C>(e).map_or(0.0, |c| c.0 as f64));
    }
}

fn add_remove(parameters: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(parameters.seed);
    let mut world = World::new();
    let entities: Vec<Entity> = (0..parameters.size)
        .map(|_| world.spawn(A(number(&mut random))).id())
        .collect();
    const ROUNDS: usize = 10;
    meter.measure(|| {
        for _ in 0..ROUNDS {
            for &e in &entities {
                world.entity_mut(e).insert(B(0.0));
            }
            for &e in &entities {
                world.entity_mut(e).remove::<B>();
            }
        }
    });
    meter.work((parameters.size * 2 * ROUNDS) as u64);
    for e in entities {
        meter.checksum.number(world.get::<A>(e).unwrap().0 as f64);
    }
}

mod on_hecs {
    use super::*;
    use hecs::World;

    pub fn simple_insert(parameters: &Parameters, meter: &mut Meter) {
        let mut random = SplitMix64::new(parameters.seed);
        let first = bundle(&mut random);
        let count = parameters.size;
        let (world, entities) = meter.measure(|| {
            let mut world = World::new();
            let entities: Vec<hecs::Entity> =
                world.spawn_batch((0..count).map(|_| first)).collect();
            (world, entities)
        });
        meter.work(count as u64);
        for e in entities {
            fold(&mut meter.checksum, &world.get::<&Position>(e).unwrap().0);
        }
    }

    pub fn simple_iter(parameters: &Parameters, meter: &mut Meter) {
        let mut random = SplitMix64::new(parameters.seed);
        let mut world = World::new();
        let entities: Vec<hecs::Entity> = (0..parameters.size)
            .map(|_| world.spawn(bundle(&mut random)))
            .collect();
        let mut query = hecs::PreparedQuery::<(&Velocity, &mut Position)>::new();
        meter.measure(|| {
            for _ in 0..REPEATS {
                query.query_mut(&mut world).for_each(|(v, p)| {
                    let p = &mut p.0 .0;
                    p[0] += v.0 .0[0];
                    p[1] += v.0 .0[1];
                    p[2] += v.0 .0[2];
                });
            }
        });
        meter.work((parameters.size * REPEATS) as u64);
        for e in entities {
            fold(&mut meter.checksum, &world.get::<&Position>(e).unwrap().0);
        }
    }

    pub fn fragmented_iter(parameters: &Parameters, meter: &mut Meter) {
        let mut world = World::new();
        let entities = spawn_fragments_hecs(
            &mut world,
            parameters.size,
            &mut SplitMix64::new(parameters.seed),
        );
        let mut query = hecs::PreparedQuery::<&mut Data>::new();
        meter.measure(|| {
            for _ in 0..REPEATS {
                query
                    .query_mut(&mut world)
                    .for_each(|d| d.0 = d.0 * 0.5 + 1.0);
            }
        });
        meter.work((entities.len() * REPEATS) as u64);
        for e in entities {
            meter
                .checksum
                .number(world.get::<&Data>(e).unwrap().0 as f64);
        }
    }

    pub fn add_remove(parameters: &Parameters, meter: &mut Meter) {
        let mut random = SplitMix64::new(parameters.seed);
        let mut world = World::new();
        let entities: Vec<hecs::Entity> = (0..parameters.size)
            .map(|_| world.spawn((A(number(&mut random)),)))
            .collect();
        const ROUNDS: usize = 10;
        meter.measure(|| {
            for _ in 0..ROUNDS {
                for &e in &entities {
                    world.insert_one(e, B(0.0)).unwrap();
                }
                for &e in &entities {
                    world.remove_one::<B>(e).unwrap();
                }
            }
        });
        meter.work((parameters.size * 2 * ROUNDS) as u64);
        for e in entities {
            meter.checksum.number(world.get::<&A>(e).unwrap().0 as f64);
        }
    }
}

fn main() {
    let workload = |name, default_size, unit, run| Workload {
        name,
        default_size,
        unit,
        run,
    };
    grove_bench::run(&[
        workload("simple-insert", 10_000, "entity", simple_insert),
        workload("simple-iter", 10_000, "entity", simple_iter),
        workload("fragmented-iter", 20, "entity", fragmented_iter),
        workload("heavy-compute", 1_000, "entity", heavy_compute),
        workload("schedule", 10_000, "entity", schedule),
        workload("add-remove", 10_000, "op", add_remove),
        workload(
            "simple-insert@hecs",
            10_000,
            "entity",
            on_hecs::simple_insert,
        ),
        workload("simple-iter@hecs", 10_000, "entity", on_hecs::simple_iter),
        workload(
            "fragmented-iter@hecs",
            20,
            "entity",
            on_hecs::fragmented_iter,
        ),
        workload("add-remove@hecs", 10_000, "op", on_hecs::add_remove),
    ]);
}
