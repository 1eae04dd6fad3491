//! Tells the tests whether there is AVX-512 where they are built, so that those that need it are shown as
//! ignored elsewhere.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(builder_has_avx512)");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        println!("cargo::rustc-cfg=builder_has_avx512");
    }
}
