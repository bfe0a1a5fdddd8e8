//! Compiles the kernel side and embeds it: an installed wheel needs no compiler.

use libbpf_cargo::SkeletonBuilder;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    let bpf = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../bpf");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed={}", bpf.display());
    println!("cargo:rerun-if-env-changed=BPF_CLANG");

    let clang = env::var("BPF_CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut arguments = ["-Wall", "-Werror", "-Wno-unused-function", "-mcpu=v3"].map(str::to_owned).to_vec();
    arguments.push(format!("-I{}", bpf.display()));
    arguments.extend(system_includes(&clang));
    for source in ["socket", "tls", "listeners"] {
        SkeletonBuilder::new()
            .source(bpf.join(format!("{source}.bpf.c")))
            .clang(&clang)
            .clang_args(&arguments)
            .reference_obj(true)
            .build_and_generate(out.join(format!("{source}.skel.rs")))
            .unwrap_or_else(|error| {
                panic!("bpf/{source}.bpf.c does not compile (clang, libelf-dev, zlib1g-dev installed?): {error:#}")
            });
    }

    fs::write(out.join("helpers.rs"), helper_names()).expect("OUT_DIR is writable");
    pyo3_build_config::add_extension_module_link_args();
}

/// For the BPF target clang leaves out the multiarch directory, where `asm/types.h` is: name its own directories.
fn system_includes(clang: &str) -> Vec<String> {
    let answer =
        Command::new(clang).args(["-v", "-E", "-x", "c", "-"]).stdin(Stdio::null()).output().unwrap_or_else(|error| {
            panic!("{clang} can't be run: {error}; install it (Debian: apt-get install clang)")
        });
    let text = String::from_utf8_lossy(&answer.stderr).into_owned();
    text.lines()
        .skip_while(|line| !line.starts_with("#include <...>"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .flat_map(|line| ["-idirafter".to_owned(), line.trim().to_owned()])
        .collect()
}

/// `(number, name)` of every BPF helper, out of the header that libbpf brings: `doctor --programs` shows names.
fn helper_names() -> String {
    let include = env::var("DEP_BPF_INCLUDE").unwrap_or_default();
    let header = Path::new(&include).join("../uapi/linux/bpf.h");
    let candidates = [header, Path::new(&include).join("linux/bpf.h"), PathBuf::from("/usr/include/linux/bpf.h")];
    let text = candidates.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let mut names = String::from("pub(crate) const HELPERS: &[(i32, &str)] = &[\n");
    let mut counted = 0;
    for line in text.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("FN(") else { continue };
        let inside = rest.split(')').next().unwrap_or_default();
        let mut parts = inside.split(',').map(str::trim);
        let Some(name) = parts.next() else { continue };
        let number = parts.next().and_then(|number| number.parse().ok()).unwrap_or(counted);
        writeln!(names, "    ({number}, {name:?}),").expect("writing to a string");
        counted = number + 1;
    }
    names.push_str("];\n");
    names
}
