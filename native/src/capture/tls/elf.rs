//! Where functions are in a file: the offsets that probes are put at.

use super::file::Bounded;
use super::library;
use object::elf::{
    FileHeader32, FileHeader64, Sym64, PT_LOAD, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, ReadCache, ReadRef, SectionIndex};
use std::fs::File;

/// A symbol table larger than this is not read; those of the largest browsers are smaller.
const LARGEST_TABLE: u64 = 256 << 20;

/// Sections, and segments; programs have some dozens.
const MOST_PARTS: usize = 1024;
/// Symbols of interest in one table; there are some dozens of names.
const MOST_SYMBOLS: usize = 256;

/// Functions of interest that a file has, by name, with their offsets in it. `None`: not an ELF file of 64 bits.
pub(super) fn functions(file: &File) -> Option<Vec<(&'static str, u64)>> {
    let cache = ReadCache::new(Bounded::new(file));
    let data = &cache;
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    if segments.len() > MOST_PARTS || header.shnum(endian, data).ok()? as usize > MOST_PARTS {
        return None;
    }
    let in_file = |address: u64| {
        segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(endian))?;
            (inside < segment.p_filesz(endian)).then(|| segment.p_offset(endian).checked_add(inside))?
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
    let (mut found, mut seen) = (Vec::new(), 0);
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
            seen += 1;
            if seen > MOST_SYMBOLS {
                return found;
            }
            if let Some(offset) = in_file(symbol.st_value(endian)) {
                found.push((name, offset));
            }
        }
    }
    found
}

/// The parts of a file that are mapped when it runs: offset and size. `None`: not an ELF file.
pub(super) fn loaded(file: &File) -> Option<Vec<(u64, u64)>> {
    let cache = ReadCache::new(Bounded::new(file));
    loaded_by::<FileHeader64<Endianness>, _>(&cache).or_else(|| loaded_by::<FileHeader32<Endianness>, _>(&cache))
}

fn loaded_by<'data, H: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(data: R) -> Option<Vec<(u64, u64)>> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    if segments.len() > MOST_PARTS {
        return None;
    }
    let mapped = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
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
        assert!(functions(&File::open(&path).unwrap()).is_none());
        std::fs::remove_file(&path).unwrap();
    }

    /// A file that is nothing but its header, with these many program headers, and sections as section 0 says.
    fn with_parts(name: &str, segments: u16, sections: u64) -> Option<Vec<(&'static str, u64)>> {
        let mut bytes = vec![0_u8; 64 + 64];
        bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
        bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&segments.to_le_bytes());
        bytes[58..60].copy_from_slice(&64_u16.to_le_bytes());
        bytes[96..104].copy_from_slice(&sections.to_le_bytes());
        let path = std::env::temp_dir().join(format!("masthead-elf-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = File::options().write(true).read(true).open(&path).unwrap();
        // Sparse: it takes no room.
        file.set_len(4 << 30).unwrap();
        std::fs::remove_file(&path).unwrap();
        functions(&file)
    }

    #[test]
    fn a_small_file_does_not_make_us_read_without_end() {
        assert_eq!(with_parts("usual", 1, 1), Some(Vec::new()));
        assert_eq!(with_parts("sections", 1, 20_000_000), None);
        assert_eq!(with_parts("segments", 60_000, 1), None);
    }

    #[test]
    fn a_program_without_tls_has_none_of_interest() {
        let own = File::open("/proc/self/exe").unwrap();
        assert_eq!(functions(&own), Some(Vec::new()));
    }
}
