//! Replays what the fuzzer has kept: the inputs that reach furthest, and every one that once broke a
//! law.

#[path = "../../../fuzz/laws.rs"]
mod laws;

use std::fs;
use std::path::Path;

#[test]
fn every_law_holds_for_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, law) in laws::LAWS {
        let files: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let path = file.unwrap().path();
            let data = fs::read(&path).unwrap();
            // The test's output names the input if the law breaks.
            println!("{}", path.display());
            law(&data);
            // Also however it is cut off.
            (0..data.len().min(256)).for_each(|end| law(&data[..end]));
        }
    }
}
