//! The distance between the kernel's clock and wall time.

/// Nanoseconds to add to `CLOCK_MONOTONIC` to get `CLOCK_REALTIME`, now.
pub(crate) fn wall_offset() -> i64 {
    now(libc::CLOCK_REALTIME) - now(libc::CLOCK_MONOTONIC)
}

/// `CLOCK_MONOTONIC`, nanoseconds: the kernel side's clock.
pub(crate) fn monotonic() -> u64 {
    now(libc::CLOCK_MONOTONIC).unsigned_abs()
}

fn now(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to, and both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The first eight digits of the boot id: they begin every exchange id.
pub(crate) fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    if digits.len() == 8 {
        digits
    } else {
        "00000000".to_owned()
    }
}
