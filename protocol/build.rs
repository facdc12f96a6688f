//! Compiles every file of `proto/` and lists the generated modules, one for each file, for `src/proto.rs`.

use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files: Vec<PathBuf> = fs::read_dir("proto")?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;

    let mut modules = String::new();
    for file in &descriptors.file {
        let name = file.name().strip_suffix(".proto").ok_or("a proto file is called NAME.proto")?;
        if file.package() != format!("kith.v1.{name}") {
            return Err(format!("{name}.proto: its package must be kith.v1.{name}").into());
        }
        writeln!(modules, "pub mod {name} {{\n    include!(concat!(env!(\"OUT_DIR\"), \"/kith.v1.{name}.rs\"));")?;
        for message in &file.message_type {
            let message_name = message.name();
            // Nested types would be maps (which have no one order, so no one spelling) or second names for things.
            if !message.nested_type.is_empty()
                || !message.enum_type.is_empty()
                || !message.oneof_decl.iter().all(|o| o.name().starts_with('_'))
            {
                return Err(
                    format!("{name}.{message_name}: no maps, nested types or oneofs; a sum type is wire.Sum").into()
                );
            }
            // A message may hold a plaintext: its Debug, which prost asks for, prints the name alone.
            writeln!(
                modules,
                "    impl ::core::fmt::Debug for {message_name} {{\n        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n            f.write_str(\"{message_name}(..)\")\n        }}\n    }}"
            )?;
        }
        writeln!(modules, "}}")?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("modules.rs"), modules)?;
    prost_build::Config::new().skip_debug(["."]).compile_fds(descriptors)?;
    Ok(())
}
