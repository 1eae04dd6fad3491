//! The clients of the other APIs, which nobody calls here: that they compile.
#![allow(dead_code, reason = "nobody calls them")]

mod nest {
    progenitor::generate_api!("nest.json");
}

mod access_tokens {
    progenitor::generate_api!("access-tokens.json");
}
