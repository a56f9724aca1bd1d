//! The figures and tables of the papers, run again. None is here yet: this prints what will be, and
//! fails, so that nobody mistakes it for a result.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "paper-repro: no experiment is implemented yet; the sources are Virtualizing Disk \
         Performance (RTAS 2008), Fahrrad (EuroSys 2008) and Zygaria (RTAS 2006)"
    );
    ExitCode::FAILURE
}
