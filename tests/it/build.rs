//! Takes the recipes in Rust from their pages, so that they are compiled as they stand there.

use std::path::Path;
use std::{env, fs};

fn main() {
    for name in ["tokio-postgres", "sqlx"] {
        let page = format!("../../docs/recipes/{name}.md");
        println!("cargo::rerun-if-changed={page}");
        let text = fs::read_to_string(&page).expect("the page can be read");
        let (_, code) = text.split_once("```rust\n").expect("the page has a block of Rust");
        let (code, _) = code.split_once("```\n").expect("the block ends");
        let folder = env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR");
        fs::write(Path::new(&folder).join(format!("{name}.rs")), code).expect("the file can be written");
    }
}
