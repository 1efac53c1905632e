//! Sets the word by which the sources of the adapters show a fuzzer what they have allocated.

fn main() {
    println!("cargo::rustc-cfg=fuzzing");
    println!("cargo::rerun-if-changed=build.rs");
}
