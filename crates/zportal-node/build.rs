//! Tells cargo how an addon is linked: what `napi_build::setup()` does on Linux, less one line.
//!
//! That line ties the build to a variable which the napi command sets only while its folder of type definitions is
//! missing, so that the second build of a fresh clone would compile this crate again for nothing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The types are a product of compiling: another folder for them means compiling again.
    println!("cargo::rerun-if-env-changed=NAPI_TYPE_DEF_TMP_FOLDER");
    // Threads of ours run destructors of thread-local values when they end: the code must not have been unloaded by then.
    println!("cargo::rustc-link-arg=-Wl,-z,nodelete");
}
