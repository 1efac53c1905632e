//! Sets the `cfg` under which the adapters' sources show a fuzzer their allocations.

fn main() {
    println!("cargo::rustc-cfg=fuzzing");
    println!("cargo::rerun-if-changed=build.rs");
}
