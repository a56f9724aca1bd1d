//! Consent to destroying what a disk holds: asked for at a terminal, or given with `--yes`.
//!
//! Invariant: [`require`] succeeds only after everything that is going to be lost was named, or
//! with `--yes`.

use crate::failure::{CommandResult, Failure};
use std::io::{BufRead, IsTerminal, Write};

/// Refuses to go on without consent to `what`, a sentence that names what will be lost.
///
/// # Errors
/// Without consent; nothing was changed then.
pub(crate) fn require(what: &str, yes: bool) -> CommandResult {
    if yes {
        println!("{what}");
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "{what}. Nothing was changed. To go on: --yes"
        )));
    }
    print!("{what}.\nType yes to go on, anything else to stop: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new("that is not `yes`; nothing was changed"))
}
