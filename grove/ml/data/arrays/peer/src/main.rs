//! The workloads of arrays_bench.cpp on ndarray (its GEMM is matrixmultiply)
//! and, where a name ends in `@nalgebra`, on nalgebra. Inputs are small whole
//! numbers, so every sum is exact and the order of additions doesn't show.

use grove_bench::{Checksum, Meter, Parameters, SplitMix64, Workload};
use nalgebra::{DMatrix, DVector, Matrix4};
use ndarray::{linalg::general_mat_mul, s, Array1, Array2, Array3, Axis, Zip};

fn whole(random: &mut SplitMix64) -> f32 {
    random.below(9) as f32 - 4.0
}

fn fold(checksum: &mut Checksum, values: impl Iterator<Item = f32>) {
    for value in values {
        checksum.word(value as i64 as u64);
    }
}

fn matrix(random: &mut SplitMix64, n: usize) -> Array2<f32> {
    Array2::from_shape_simple_fn((n, n), || whole(random))
}

fn vector(random: &mut SplitMix64, n: usize) -> Array1<f32> {
    Array1::from_shape_simple_fn(n, || whole(random))
}

fn sgemm(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let (a, b) = (matrix(&mut random, p.size), matrix(&mut random, p.size));
    let mut c = Array2::<f32>::zeros((p.size, p.size));
    meter.measure(|| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
    meter.work(2 * (p.size as u64).pow(3));
    fold(&mut meter.checksum, c.iter().copied());
}

fn sgemm_nalgebra(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let n = p.size;
    let a = DMatrix::from_row_iterator(n, n, (0..n * n).map(|_| whole(&mut random)).collect::<Vec<_>>());
    let b = DMatrix::from_row_iterator(n, n, (0..n * n).map(|_| whole(&mut random)).collect::<Vec<_>>());
    let mut c = DMatrix::<f32>::zeros(n, n);
    meter.measure(|| c.gemm(1.0, &a, &b, 0.0));
    meter.work(2 * (n as u64).pow(3));
    fold(&mut meter.checksum, c.transpose().iter().copied());
}

const AXPY_ROUNDS: usize = 256;

fn axpy(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let (x, mut y) = (vector(&mut random, p.size), vector(&mut random, p.size));
    meter.measure(|| {
        for _ in 0..AXPY_ROUNDS {
            y.scaled_add(2.0, &x);
        }
    });
    meter.work((AXPY_ROUNDS * p.size) as u64);
    fold(&mut meter.checksum, y.iter().copied());
}

fn axpy_nalgebra(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let x = DVector::from_vec(vector(&mut random, p.size).to_vec());
    let mut y = DVector::from_vec(vector(&mut random, p.size).to_vec());
    meter.measure(|| {
        for _ in 0..AXPY_ROUNDS {
            y.axpy(2.0, &x, 1.0);
        }
    });
    meter.work((AXPY_ROUNDS * p.size) as u64);
    fold(&mut meter.checksum, y.iter().copied());
}

const FUSED_ROUNDS: usize = 16;

fn fused_inputs(p: &Parameters) -> [Array1<f32>; 4] {
    let mut random = SplitMix64::new(p.seed);
    [(); 4].map(|()| vector(&mut random, p.size))
}

/// The expression as one writes it: the first product allocates, the rest
/// works in place on that temporary.
fn fused(p: &Parameters, meter: &mut Meter) {
    let [a, b, c, d] = fused_inputs(p);
    let mut r = Array1::<f32>::zeros(p.size);
    meter.measure(|| {
        for _ in 0..FUSED_ROUNDS {
            r.assign(&((&a * &b + &c) * 2.0 - &d));
        }
    });
    meter.work((FUSED_ROUNDS * p.size) as u64);
    fold(&mut meter.checksum, r.iter().copied());
}

/// The same fused by hand.
fn fused_zip(p: &Parameters, meter: &mut Meter) {
    let [a, b, c, d] = fused_inputs(p);
    let mut r = Array1::<f32>::zeros(p.size);
    meter.measure(|| {
        for _ in 0..FUSED_ROUNDS {
            Zip::from(&mut r)
                .and(&a)
                .and(&b)
                .and(&c)
                .and(&d)
                .for_each(|r, &a, &b, &c, &d| *r = (a * b + c) * 2.0 - d);
        }
    });
    meter.work((FUSED_ROUNDS * p.size) as u64);
    fold(&mut meter.checksum, r.iter().copied());
}

fn strided(p: &Parameters, meter: &mut Meter, axis: usize) {
    let mut random = SplitMix64::new(p.seed);
    let a = matrix(&mut random, p.size);
    let view = a.slice(s![..;2, ..;2]);
    let sums = meter.measure(|| view.sum_axis(Axis(axis)));
    meter.work((view.len()) as u64);
    fold(&mut meter.checksum, sums.iter().copied());
}

fn strided_rows(p: &Parameters, meter: &mut Meter) {
    strided(p, meter, 1);
}

fn strided_columns(p: &Parameters, meter: &mut Meter) {
    strided(p, meter, 0);
}

const BATCH_ROUNDS: usize = 64;

fn batched(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let mut make = || Array3::from_shape_simple_fn((p.size, 4, 4), || whole(&mut random));
    let (a, b) = (make(), make());
    let mut c = Array3::<f32>::zeros((p.size, 4, 4));
    meter.measure(|| {
        for _ in 0..BATCH_ROUNDS {
            Zip::from(a.outer_iter())
                .and(b.outer_iter())
                .and(c.outer_iter_mut())
                .for_each(|a, b, mut c| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
        }
    });
    meter.work((BATCH_ROUNDS * p.size) as u64);
    fold(&mut meter.checksum, c.iter().copied());
}

fn batched_nalgebra(p: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(p.seed);
    let mut make = || {
        (0..p.size)
            .map(|_| {
                let mut rows = [0f32; 16];
                rows.fill_with(|| whole(&mut random));
                Matrix4::from_row_slice(&rows)
            })
            .collect::<Vec<_>>()
    };
    let (a, b) = (make(), make());
    let mut c = vec![Matrix4::<f32>::zeros(); p.size];
    meter.measure(|| {
        for _ in 0..BATCH_ROUNDS {
            for ((c, a), b) in c.iter_mut().zip(&a).zip(&b) {
                *c = a * b;
            }
            std::hint::black_box(&mut c);
        }
    });
    meter.work((BATCH_ROUNDS * p.size) as u64);
    for c in &c {
        fold(&mut meter.checksum, c.transpose().iter().copied());
    }
}

fn main() {
    let workload = |name, default_size, unit, run| Workload { name, default_size, unit, run };
    grove_bench::run(&[
        workload("sgemm-512", 512, "flop", sgemm),
        workload("sgemm-512@nalgebra", 512, "flop", sgemm_nalgebra),
        workload("sgemm-2048", 2048, "flop", sgemm),
        workload("sgemm-2048@nalgebra", 2048, "flop", sgemm_nalgebra),
        workload("axpy", 1 << 14, "element", axpy),
        workload("axpy@nalgebra", 1 << 14, "element", axpy_nalgebra),
        workload("fused", 1 << 16, "element", fused),
        workload("fused@ndarray-zip", 1 << 16, "element", fused_zip),
        workload("strided-sum-rows", 2048, "element", strided_rows),
        workload("strided-sum-columns", 2048, "element", strided_columns),
        workload("batched-4x4", 1024, "product", batched),
        workload("batched-4x4@nalgebra", 1024, "product", batched_nalgebra),
    ]);
}
