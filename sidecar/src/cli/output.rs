//! Output of the commands. If nobody reads standard output any more, the program ends like other programs of a pipe. The
//! macros of the standard library would panic.

use std::fmt;
use std::io::{self, Write};
use std::process;

/// Exit status of a program whose reader has closed the pipe: 128 and the number of SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Writes a line to standard output.
macro_rules! say {
    () => { $crate::cli::output::write(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::cli::output::write(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Writes a line to standard error. If nobody reads it, it is lost.
macro_rules! note {
    ($($argument:tt)*) => { $crate::cli::output::write_note(format_args!($($argument)*)) };
}

pub(crate) use {note, say};

/// Writes text to standard output. Ends the program if it cannot be written.
pub fn write(text: fmt::Arguments<'_>) {
    if let Err(error) = io::stdout().write_fmt(text).and_then(|()| io::stdout().flush()) {
        fail(&error);
    }
}

/// Ends the program because standard output cannot be written.
pub fn fail(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        process::exit(CLOSED_PIPE);
    }
    write_note(format_args!("audit-sidecar: cannot write the output: {error}"));
    process::exit(1)
}

/// Writes a line to standard error.
pub fn write_note(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}
