//! CRC32C of a small, a common and the largest payload, hot in cache: the crate beside our ways.
//!
//! `cargo bench -p zportal-core --bench crc`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zportal_core::crc::{crc32c, ways};

fn crc(criterion: &mut Criterion) {
    for bytes in [64, 128, 256, 1400, 65_536] {
        let payload: Vec<u8> = (0..bytes).map(|i| (i * 31) as u8).collect();
        let mut group = criterion.benchmark_group("crc32c");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("used", bytes), |bencher| {
            bencher.iter(|| crc32c(black_box(&payload)));
        });
        for (name, way) in ways() {
            let Some(way) = way else {
                println!("skipped: this processor has no {name}");
                continue;
            };
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| way(black_box(&payload)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, crc);
criterion_main!(benches);
