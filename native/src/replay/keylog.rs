//! Key log files, as they stand beside a capture.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tls::keylog::Reader;
use tls::secrets::Secrets;

use super::problems::Problems;

/// Reads one file into `secrets`. What can't be used of it is told by its line, never by what stands there.
pub(crate) fn read(path: &Path, secrets: &mut Secrets, problems: &mut Problems) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut reader = Reader::default();
    let name = path.to_string_lossy();
    let mut chunk = vec![0; 1 << 16];
    let mut tell = |line, fault: tls::keylog::Fault| problems.line(format!("{name} line {line}: {}", fault.text()));
    loop {
        let count = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        reader.feed(chunk.get(..count).unwrap_or_default(), secrets, &mut tell);
    }
    reader.finish(secrets, &mut tell);
    if reader.secrets == 0 {
        problems.line(format!("{name}: no secrets of TLS 1.2 or 1.3 in it"));
    }
    Ok(())
}
