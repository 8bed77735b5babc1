//! One frame of a small, a common and the largest payload, hot in cache: encoded, decoded, and the
//! header of a super-packet checked.
//!
//! `cargo bench -p zportal-core --bench frame`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_VNET, HEADER_BYTES, MAX_PAYLOAD_BYTES, encode};
use zportal_core::wire::vnet::{VnetHeader, check};

fn frames(criterion: &mut Criterion) {
    let decoder = Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_VNET);
    for bytes in [64, 1400, 65_536] {
        let payload: Vec<u8> = (0..bytes).map(|i| (i * 31) as u8).collect();
        let mut frame = encode(0, &payload).to_vec();
        frame.extend_from_slice(&payload);
        let mut group = criterion.benchmark_group("frame");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("encode", bytes), |bencher| {
            bencher.iter(|| encode(0, black_box(&payload)));
        });
        group.bench_function(BenchmarkId::new("decode", bytes), |bencher| {
            bencher.iter(|| {
                let frame = decoder.decode(black_box(&frame));
                frame.is_ok_and(|frame| frame.is_some())
            });
        });
        group.bench_function(
            BenchmarkId::new("decode, one byte short", bytes),
            |bencher| {
                let cut = &frame[..HEADER_BYTES + bytes as usize - 1];
                bencher.iter(|| decoder.decode(black_box(cut)).is_ok());
            },
        );
        group.finish();
    }
}

fn headers(criterion: &mut Criterion) {
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/wire/vnet-linux-6.18.bin"
    );
    let recording = std::fs::read(recording).expect("the recording is part of the sources");
    let decoder = Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_VNET);
    let mut packets = Vec::new();
    let mut rest = &recording[..];
    while let Ok(Some(frame)) = decoder.decode(rest) {
        packets.push(frame.payload);
        rest = &rest[frame.total_bytes()..];
    }
    let mut group = criterion.benchmark_group("vnet");
    group.throughput(Throughput::Elements(packets.len() as u64));
    group.bench_function("parse, check and encode what a TUN gave", |bencher| {
        bencher.iter(|| {
            for payload in black_box(&packets) {
                let checked = VnetHeader::parse(payload)
                    .and_then(|(header, packet)| check(&header, packet, Features(0xff)));
                let _ = black_box(checked.map(|header| header.encode()));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, frames, headers);
criterion_main!(benches);
