//! Compiles every file of `proto/` and lists the generated modules, one for each file, for `src/proto.rs`.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files: Vec<PathBuf> = fs::read_dir("proto")?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    // Generated Debug would print message bytes; a map has no one order, so none may appear on the wire.
    prost_build::Config::new().btree_map(["."]).compile_fds(descriptors)?;

    let mut modules = String::new();
    for file in &files {
        let name = file.file_stem().and_then(|s| s.to_str()).ok_or("a proto file needs a plain name")?;
        let package = format!("package kith.v1.{name};");
        if !fs::read_to_string(file)?.contains(&package) {
            return Err(format!("{}: must say `{package}`", file.display()).into());
        }
        modules
            .push_str(&format!("pub mod {name} {{ include!(concat!(env!(\"OUT_DIR\"), \"/kith.v1.{name}.rs\")); }}\n"));
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("modules.rs"), modules)?;
    Ok(())
}
