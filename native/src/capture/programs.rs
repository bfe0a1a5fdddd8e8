//! What each program may do, read from the loaded instructions: `masthead doctor --programs`.

use super::kernel::{self, Failure};
use super::options::Options;
use super::tls::{listeners, probes};
use libbpf_rs::skel::Skel;
use libbpf_rs::{OpenObject, ProgramImpl};
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

include!(concat!(env!("OUT_DIR"), "/helpers.rs"));

/// BPF instruction codes (Documentation/bpf/standardization/instruction-set.rst).
mod code {
    pub(super) const CALL: u8 = 0x85;
    pub(super) const EXIT: u8 = 0x95;
    pub(super) const LOAD_IMMEDIATE: u8 = 0x18;
    pub(super) const MOVE_IMMEDIATE: [u8; 2] = [0xb7, 0xb4];
    /// Of whole registers.
    pub(super) const MOVE: u8 = 0xbf;
    /// Eight bytes, from and to memory.
    pub(super) const LOAD_WORD: u8 = 0x79;
    pub(super) const STORE_WORD: u8 = 0x7b;
    /// The frame pointer.
    pub(super) const FRAME: u8 = 10;
    pub(super) const JUMP_ALWAYS: u8 = 0x05;
    /// Class of jumps.
    pub(super) const JUMPS: [u8; 2] = [0x05, 0x06];
    /// `src` of a call: another function of the program; a kernel function.
    pub(super) const PSEUDO_CALL: u8 = 1;
    pub(super) const PSEUDO_KFUNC: u8 = 2;
    /// `src` of a load: the address of a function of the program.
    pub(super) const PSEUDO_FUNC: u8 = 4;
    /// Stores: to memory from a register (plain and atomic) and from an immediate.
    pub(super) const STORES: [u8; 2] = [0x02, 0x03];
}

/// One instruction, taken apart.
struct Instruction {
    code: u8,
    source: u8,
    destination: u8,
    offset: i16,
    immediate: i32,
}

/// Loads all programs and describes them, without attaching any.
pub(crate) fn describe() -> Result<String, Failure> {
    let options = Options {
        cgroups: Vec::new(),
        ports: Vec::new(),
        role: None,
        ring_bytes: 1 << 16,
        max_head_bytes: 1 << 14,
        batch_rows: 1,
        batch_ms: 1,
        processes: Vec::new(),
        own_pids: Vec::new(),
        tls: super::options::Tls::default(),
    };
    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let skeleton = kernel::load(kernel::open(&mut storage, &options)?)?;
    let mut tls_storage = MaybeUninit::<OpenObject>::uninit();
    let tls = probes::load(probes::open(&mut tls_storage, &options, None)?)?;
    let mut listeners_storage = MaybeUninit::<OpenObject>::uninit();
    let listeners = listeners::load(&mut listeners_storage)?;
    let all = skeleton.object().progs().chain(tls.object().progs()).chain(listeners.object().progs());
    let programs: Vec<Value> = all.filter(ProgramImpl::autoload).map(|program| one(&program)).collect();
    Ok(Value::from(programs).to_string())
}

fn one(program: &libbpf_rs::Program<'_>) -> Value {
    let instructions: Vec<Instruction> = program.insns().iter().map(take_apart).collect();
    let entry_end = end_of_entry(&instructions);
    json!({
        "name": program.name().to_string_lossy(),
        "type": format!("{:?}", program.prog_type()),
        "attach": program.section().to_string_lossy(),
        "helpers": helpers(&instructions),
        "exits": exits(&instructions[..entry_end]),
        "insns": instructions.len(),
        "verified_insns": verified(program),
        "context_stores": context_stores(&instructions[..entry_end]),
    })
}

/// How many instructions the verifier followed (`bpf_prog_info.verified_insns`, since Linux 5.16).
fn verified(program: &libbpf_rs::Program<'_>) -> Option<u32> {
    kernel::info(program.as_fd()).map(|info| info.verified_insns)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "called as map(take_apart) on a slice")]
fn take_apart(raw: &libbpf_sys::bpf_insn) -> Instruction {
    Instruction {
        code: raw.code,
        source: raw.src_reg(),
        destination: raw.dst_reg(),
        offset: raw.off,
        immediate: raw.imm,
    }
}

/// Functions of the program follow its entry: the first one that anything refers to.
fn end_of_entry(instructions: &[Instruction]) -> usize {
    let targets = instructions.iter().enumerate().filter_map(|(at, instruction)| {
        let call = instruction.code == code::CALL && instruction.source == code::PSEUDO_CALL;
        let address = instruction.code == code::LOAD_IMMEDIATE && instruction.source == code::PSEUDO_FUNC;
        (call || address).then(|| i64::try_from(at).unwrap_or(0) + i64::from(instruction.immediate) + 1)
    });
    targets.min().and_then(|at| usize::try_from(at).ok()).unwrap_or(instructions.len()).min(instructions.len())
}

fn helpers(instructions: &[Instruction]) -> BTreeSet<String> {
    let calls = instructions.iter().filter(|instruction| instruction.code == code::CALL);
    calls
        .filter_map(|call| match call.source {
            0 => Some(
                HELPERS
                    .iter()
                    .find(|(number, _)| *number == call.immediate)
                    .map_or_else(|| format!("helper {}", call.immediate), |(_, name)| (*name).to_owned()),
            ),
            code::PSEUDO_KFUNC => Some(format!("kernel function {}", call.immediate)),
            _ => None,
        })
        .collect()
}

/// What the entry returns: constants, or `not constant`.
fn exits(entry: &[Instruction]) -> BTreeSet<String> {
    let jumped: BTreeSet<usize> = entry
        .iter()
        .enumerate()
        .filter(|(_, instruction)| {
            code::JUMPS.contains(&(instruction.code & 0x07)) && !matches!(instruction.code, code::CALL | code::EXIT)
        })
        .filter_map(|(at, instruction)| {
            usize::try_from(i64::try_from(at).ok()? + 1 + i64::from(instruction.offset)).ok()
        })
        .collect();
    let constant = |at: usize| {
        let before = entry.get(at.checked_sub(1)?)?;
        let sets = code::MOVE_IMMEDIATE.contains(&before.code) && before.destination == 0 && !jumped.contains(&at);
        sets.then(|| before.immediate.to_string())
    };
    let ends = entry.iter().enumerate().filter(|(_, instruction)| instruction.code == code::EXIT);
    ends.map(|(at, _)| constant(at).unwrap_or_else(|| "not constant".to_owned())).collect()
}

/// Stores through the context: a program that writes to it changes things. Follows the context through registers and
/// the stack, along every path.
fn context_stores(entry: &[Instruction]) -> usize {
    // Bits 0 to 10: registers that may hold the context. Bits 16 on: eight-byte places of the stack.
    let mut holds = vec![0_u128; entry.len()];
    let mut seen = vec![false; entry.len()];
    let mut waiting = vec![(0_usize, 1_u128 << 1)];
    while let Some((at, state)) = waiting.pop() {
        let Some(instruction) = entry.get(at) else { continue };
        if seen[at] && holds[at] | state == holds[at] {
            continue;
        }
        seen[at] = true;
        holds[at] |= state;
        let after = after(instruction, holds[at]);
        let relative = |offset: i64| usize::try_from(i64::try_from(at).unwrap_or(0) + 1 + offset).unwrap_or(usize::MAX);
        let jump =
            code::JUMPS.contains(&(instruction.code & 0x07)) && !matches!(instruction.code, code::CALL | code::EXIT);
        let always = instruction.code == code::JUMP_ALWAYS;
        if instruction.code != code::EXIT && !always {
            let wide = i64::from(instruction.code == code::LOAD_IMMEDIATE);
            waiting.push((relative(wide), after));
        }
        if jump {
            waiting.push((relative(i64::from(instruction.offset)), after));
        }
    }
    let stores = |(instruction, state): (&Instruction, &u128)| {
        let store = code::STORES.contains(&(instruction.code & 0x07));
        store && instruction.destination != code::FRAME && state >> instruction.destination & 1 == 1
    };
    entry.iter().zip(&holds).filter(|pair| stores(*pair)).count()
}

/// What may hold the context behind an instruction.
fn after(instruction: &Instruction, state: u128) -> u128 {
    let place = |offset: i16| 1_u128 << (16 + (offset.unsigned_abs() / 8).min(100));
    let (to, from) = (1_u128 << instruction.destination, state >> instruction.source & 1 == 1);
    match instruction.code {
        code::MOVE => {
            if from {
                state | to
            } else {
                state & !to
            }
        }
        code::STORE_WORD if instruction.destination == code::FRAME => {
            if from {
                state | place(instruction.offset)
            } else {
                state & !place(instruction.offset)
            }
        }
        code::LOAD_WORD if instruction.source == code::FRAME => {
            if state & place(instruction.offset) == 0 {
                state & !to
            } else {
                state | to
            }
        }
        // A call spoils the registers of its arguments and of its result.
        code::CALL => state & !0x3f,
        // Adding to the context keeps it one; everything else that writes a register ends it.
        other if matches!(other & 0x07, 0x00 | 0x01) || matches!(other, 0xb7 | 0xb4 | 0xbc) => state & !to,
        _ => state,
    }
}
