//! Where functions are in a file: the offsets that probes are put at.

use super::library;
use object::elf::{
    FileHeader32, FileHeader64, Sym64, PT_LOAD, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, ReadCache, ReadRef, SectionIndex};
use std::fs::File;

/// A symbol table larger than this is not read; those of the largest browsers are smaller.
const LARGEST_TABLE: u64 = 256 << 20;

/// Functions of interest that a file has, by name, with their offsets in it. `None`: not an ELF file of 64 bits.
pub(super) fn functions(file: File) -> Option<Vec<(&'static str, u64)>> {
    let cache = ReadCache::new(file);
    let data = &cache;
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let in_file = |address: u64| {
        segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(endian))?;
            (inside < segment.p_filesz(endian)).then(|| segment.p_offset(endian) + inside)
        })
    };
    // The dynamic table is small and has what a library exports; the other one may have been stripped away.
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        let found = in_table(header, endian, data, kind, &in_file);
        if library::watchable(&found).is_some() {
            return Some(found);
        }
    }
    Some(Vec::new())
}

fn in_table<'data, R: ReadRef<'data>>(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    data: R,
    kind: object::elf::SectionType,
    in_file: &impl Fn(u64) -> Option<u64>,
) -> Vec<(&'static str, u64)> {
    let mut found = Vec::new();
    let Ok(sections) = header.section_headers(endian, data) else { return found };
    for section in sections.iter().filter(|section| section.sh_type(endian) == kind) {
        let Some(names) = sections.get(SectionIndex(section.sh_link(endian) as usize).0) else { continue };
        if section.sh_size(endian).max(names.sh_size(endian)) > LARGEST_TABLE {
            continue;
        }
        let Ok(names) = names.data(endian, data) else { continue };
        // Most files have none, and some have millions of symbols.
        if !library::may_be_in(names) {
            continue;
        }
        let Ok(symbols) = section.data_as_array::<Sym64<Endianness>, _>(endian, data) else { continue };
        for symbol in symbols {
            let is_function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC);
            if !is_function || symbol.st_shndx(endian) == SHN_UNDEF {
                continue;
            }
            let Some(name) = names.get(symbol.st_name(endian) as usize..).and_then(text) else { continue };
            let Some(name) = library::symbols().find(|known| known.as_bytes() == name) else { continue };
            if let Some(offset) = in_file(symbol.st_value(endian)) {
                found.push((name, offset));
            }
        }
    }
    found
}

/// The parts of a file that are mapped when it runs: offset and size. `None`: not an ELF file.
pub(super) fn loaded(file: &File) -> Option<Vec<(u64, u64)>> {
    let cache = ReadCache::new(file);
    loaded_by::<FileHeader64<Endianness>, _>(&cache).or_else(|| loaded_by::<FileHeader32<Endianness>, _>(&cache))
}

fn loaded_by<'data, H: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(data: R) -> Option<Vec<(u64, u64)>> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?.iter();
    let mapped = segments.filter(|segment| segment.p_type(endian) == PT_LOAD);
    Some(mapped.map(|segment| (segment.p_offset(endian).into(), segment.p_filesz(endian).into())).collect())
}

/// Up to the NUL; names of interest are short and have a known beginning.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let known: [&[u8]; 3] = [b"SSL_", b"gnutls_", b"PR_"];
    if !known.iter().any(|beginning| bytes.starts_with(beginning)) {
        return None;
    }
    let end = bytes.iter().take(64).position(|byte| *byte == 0)?;
    bytes.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_has_no_functions() {
        let path = std::env::temp_dir().join(format!("masthead-elf-{}", std::process::id()));
        std::fs::write(&path, b"#!/bin/sh\nexit 0\n").unwrap();
        assert!(functions(File::open(&path).unwrap()).is_none());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_program_without_tls_has_none_of_interest() {
        let own = File::open("/proc/self/exe").unwrap();
        assert_eq!(functions(own), Some(Vec::new()));
    }
}
