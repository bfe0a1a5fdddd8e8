//! Where Go's `crypto/tls` is in a program, also in one that was stripped: the table of functions that the runtime itself
//! needs tells (`.gopclntab`; src/runtime/symtab.go, Go 1.18 and later), and return instructions are found by reading the
//! code: return probes would change return addresses on stacks that Go moves.

use super::file::Bounded;
use super::library::{Call, Library, Part, Place, Probe, Watchable};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use memchr::memmem;
use object::elf::{FileHeader64, Rela64, EM_X86_64, SHT_RELA};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};
use std::fs::File;

/// `crypto/tls/conn.go`. A handshake begins a connection: nothing has been said on it.
const FUNCTIONS: [(&str, Call); 6] = [
    ("crypto/tls.(*Conn).Read", Call::Recv),
    ("crypto/tls.(*Conn).Write", Call::Send),
    ("crypto/tls.(*Conn).CloseWrite", Call::Shutdown),
    ("crypto/tls.(*Conn).Close", Call::Close),
    ("crypto/tls.(*Conn).clientHandshake", Call::Begin),
    ("crypto/tls.(*Conn).serverHandshake", Call::Begin),
];

/// The table of a program of hundreds of megabytes is smaller.
const LARGEST_TABLE: u64 = 256 << 20;
/// Those of interest have some thousand bytes.
const LARGEST_FUNCTION: u64 = 1 << 16;
/// Return instructions of one; `Read` and `Write` have some ten.
const MOST_RETURNS: usize = 256;
/// What begins the tables of Go 1.18, and of 1.20 and later.
const MAGIC: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Its words of 8 bytes, behind 8 others.
const NFUNC: usize = 0;
const TEXT_START: usize = 2;
const NAMES: usize = 3;
const FUNCTION_TABLE: usize = 7;
/// In `runtime.moduledata`, words of 8 bytes: the lowest address of a function, and what addresses count from.
const MODULE_LOWEST: usize = 20;
const MODULE_TEXT: usize = 22;

/// What there is of Go's TLS in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Watchable(Watchable),
    /// It is there, and can't be watched.
    Unseen(&'static str),
    Nothing,
}

impl Found {
    pub(super) fn watchable(self) -> Option<Watchable> {
        match self {
            Found::Watchable(watchable) => Some(watchable),
            Found::Unseen(_) | Found::Nothing => None,
        }
    }
}

const OLD: &str = "Go before 1.18, or a table of functions that is not known";
const MACHINE: &str = "Go's own TLS is followed on x86_64 only";
const CODE: &str = "its functions do not look as Go's compiler makes them";

/// Looks for Go's TLS in a file. Without `crypto/tls` in it there is `Nothing`, as in what is no Go program.
pub(super) fn find(file: &File) -> Found {
    let cache = ReadCache::new(Bounded::new(file));
    let Some(program) = Program::open(&cache) else { return Found::Nothing };
    if memmem::find(program.table, FUNCTIONS[0].0.as_bytes()).is_none() {
        return Found::Nothing;
    }
    if program.header.e_machine.get(program.endian) != EM_X86_64 {
        return Found::Unseen(MACHINE);
    }
    let Some(functions) = program.functions() else { return Found::Unseen(OLD) };
    let starts = program.starts_of_text();
    match starts.into_iter().find_map(|start| program.probes(start, &functions)) {
        Some(probes) => Found::Watchable(Watchable { library: Library::Go, part: Part::Whole, probes }),
        None => Found::Unseen(CODE),
    }
}

/// A function: what it is, and where it begins and ends, counted from the beginning of Go's code.
type Function = (Call, u64, u64);

struct Program<'data, R: ReadRef<'data>> {
    data: R,
    header: &'data FileHeader64<Endianness>,
    endian: Endianness,
    /// `.gopclntab`, and its address.
    table: &'data [u8],
    address: u64,
}

impl<'data, R: ReadRef<'data>> Program<'data, R> {
    fn open(data: R) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, data).ok()?;
        // The other name is that of programs that can be loaded anywhere, before Go 1.26.
        let mut named = [&b".gopclntab"[..], b".data.rel.ro.gopclntab"].into_iter();
        let (_, section) = named.find_map(|name| sections.section_by_name(endian, name))?;
        if section.sh_size(endian) > LARGEST_TABLE {
            return None;
        }
        Some(Self { data, header, endian, table: section.data(endian, data).ok()?, address: section.sh_addr(endian) })
    }

    fn head(&self, word: usize) -> Option<u64> {
        word64(self.table, 8 + word * 8)
    }

    /// `None`: not a table as we know them, or one function is not in it.
    fn functions(&self) -> Option<Vec<Function>> {
        let magic = word32(self.table, 0)?;
        if !MAGIC.contains(&magic) || self.table.get(7) != Some(&8) {
            return None;
        }
        let count = usize::try_from(self.head(NFUNC)?).ok()?;
        let names = self.table.get(usize::try_from(self.head(NAMES)?).ok()?..)?;
        let table = self.table.get(usize::try_from(self.head(FUNCTION_TABLE)?).ok()?..)?;
        let mut wanted: Vec<(u32, Call)> = FUNCTIONS
            .iter()
            .filter_map(|(name, call)| {
                let text = [b"\0", name.as_bytes(), b"\0"].concat();
                let place = memmem::find(names, &text)? + 1;
                Some((u32::try_from(place).ok()?, *call))
            })
            .collect();
        let mut found: Vec<Function> = Vec::new();
        for index in 0..count.min(table.len() / 8) {
            let described = word32(table, index * 8 + 4)? as usize;
            let name = word32(table, described + 4)?;
            // A function is there once.
            if let Some(place) = wanted.iter().position(|(wanted, _)| *wanted == name) {
                let (_, call) = wanted.swap_remove(place);
                let end = word32(table, (index + 1) * 8)?;
                found.push((call, u64::from(word32(table, index * 8)?), u64::from(end)));
            }
        }
        let has = |wanted: Call| found.iter().any(|(call, ..)| *call == wanted);
        (has(Call::Recv) && has(Call::Send)).then_some(found)
    }

    /// Where Go's code may begin: each is judged by the code that is there.
    fn starts_of_text(&self) -> Vec<u64> {
        let mut starts: Vec<u64> = self.head(TEXT_START).into_iter().collect();
        starts.extend(self.relocated(self.address + 8 + TEXT_START as u64 * 8));
        if let Ok(sections) = self.header.sections(self.endian, self.data) {
            if let Some((_, module)) = sections.section_by_name(self.endian, b".go.module") {
                let at = |word: usize| module.sh_addr(self.endian) + word as u64 * 8;
                if let Ok(bytes) = module.data(self.endian, self.data) {
                    starts.extend(word64(bytes, MODULE_TEXT * 8));
                    starts.extend(word64(bytes, MODULE_LOWEST * 8));
                }
                starts.extend(self.relocated(at(MODULE_TEXT)));
            }
            if let Some((_, text)) = sections.section_by_name(self.endian, b".text") {
                starts.push(text.sh_addr(self.endian));
            }
        }
        starts.retain(|start| *start != 0);
        starts
    }

    /// What the loader will write to an address of a program that can be loaded anywhere.
    fn relocated(&self, address: u64) -> Option<u64> {
        let sections = self.header.section_headers(self.endian, self.data).ok()?;
        let tables = sections.iter().filter(|section| section.sh_type(self.endian) == SHT_RELA);
        for table in tables.filter(|table| table.sh_size(self.endian) <= LARGEST_TABLE) {
            let entries = table.data_as_array::<Rela64<Endianness>, _>(self.endian, self.data).ok()?;
            let entry = entries.iter().find(|entry| entry.r_offset.get(self.endian) == address);
            if let Some(entry) = entry {
                return u64::try_from(entry.r_addend.get(self.endian)).ok();
            }
        }
        None
    }

    /// `None`: the code is not that of these functions.
    fn probes(&self, start: u64, functions: &[Function]) -> Option<Vec<Probe>> {
        let sections = self.header.sections(self.endian, self.data).ok()?;
        let mut probes = Vec::new();
        for (call, from, end) in functions {
            let (address, size) = (start.checked_add(*from)?, end.checked_sub(*from)?);
            let section = sections.iter().find(|section| {
                let inside = address.checked_sub(section.sh_addr(self.endian));
                section.sh_addr(self.endian) != 0
                    && inside.is_some_and(|inside| inside.saturating_add(size) <= section.sh_size(self.endian))
            })?;
            if size > LARGEST_FUNCTION {
                return None;
            }
            let inside = address - section.sh_addr(self.endian);
            let offset = section.sh_offset(self.endian).checked_add(inside)?;
            let code = self.data.read_bytes_at(offset, size).ok()?;
            if !checks_its_stack(code) {
                return None;
            }
            let cookie = Library::Go.cookie(*call);
            probes.push(Probe { offset, cookie, place: Place::Entry });
            if call.returns() {
                let returns = returns(code)?;
                let places = returns.into_iter().map(|at| offset + at);
                probes.extend(places.map(|offset| Probe { offset, cookie, place: Place::Exit }));
            }
        }
        Some(probes)
    }
}

/// The first instructions of a function that calls others: `cmp rsp, [r14+16]`, or the same of a register that `lea` made
/// of `rsp`. They show that the goroutine is in R14.
fn checks_its_stack(code: &[u8]) -> bool {
    let small = code.starts_with(&[0x49, 0x3b, 0x66, 0x10]);
    let large = |lea: usize| code.get(lea..).is_some_and(|rest| rest.starts_with(&[0x4d, 0x3b, 0x66, 0x10]));
    small
        || (code.starts_with(&[0x4c, 0x8d, 0x64, 0x24]) && large(5))
        || (code.starts_with(&[0x4c, 0x8d, 0xa4, 0x24]) && large(8))
}

/// Offsets of all instructions that return. `None`: there is something that is no instruction, or nothing returns, or more
/// than in any function that a compiler makes.
fn returns(code: &[u8]) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for instruction in Decoder::new(64, code, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return None;
        }
        if instruction.mnemonic() == Mnemonic::Ret {
            found.push(instruction.ip());
        }
    }
    (1..=MOST_RETURNS).contains(&found.len()).then_some(found)
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_returns_is_found_by_instructions_and_not_by_bytes() {
        // mov eax, 0xc3c3c3c3; ret; int3; jmp -3; ret 8
        let code = [0xb8, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xcc, 0xeb, 0xfd, 0xc2, 0x08, 0x00];
        assert_eq!(returns(&code), Some(vec![5, 9]));
        assert_eq!(returns(&[0x90, 0x90]), None);
        // No instruction of 64-bit code.
        assert_eq!(returns(&[0x06, 0xc3]), None);
        // None that a compiler would make.
        assert_eq!(returns(&[0xc3; MOST_RETURNS + 1]), None);
    }

    #[test]
    fn a_function_shows_that_the_goroutine_is_in_r14() {
        assert!(checks_its_stack(&[0x49, 0x3b, 0x66, 0x10, 0x76, 0x2f]));
        assert!(checks_its_stack(&[0x4c, 0x8d, 0x64, 0x24, 0xb8, 0x4d, 0x3b, 0x66, 0x10]));
        assert!(checks_its_stack(&[0x4c, 0x8d, 0xa4, 0x24, 0x70, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10]));
        assert!(!checks_its_stack(&[0x55, 0x48, 0x89, 0xe5]));
    }

    #[test]
    fn a_program_of_another_language_has_nothing() {
        assert_eq!(find(&File::open("/proc/self/exe").unwrap()), Found::Nothing);
    }
}
