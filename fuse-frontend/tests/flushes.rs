//! How often the backend is asked to flush. Alone in its program: any test that starts a process copies
//! this process's open files into it, and their closing there is a flush.

mod common;

use common::Mounted;
use disktime_engine::RequestKind;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

#[test]
fn fsync_and_close_after_writing_flush_and_reading_does_not() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let flushes = || {
        let asked = mounted.memory.take_asked();
        asked
            .iter()
            .filter(|asked| asked.kind == RequestKind::Flush)
            .count()
    };
    let file = mounted.open("web");
    file.write_all_at(b"x", 0).expect("written");
    assert_eq!(flushes(), 0);
    file.sync_all().expect("fsync");
    assert_eq!(flushes(), 1);
    file.sync_data().expect("fdatasync");
    assert_eq!(flushes(), 1);
    drop(file);
    assert_eq!(flushes(), 1, "close");
    let mut content = Vec::new();
    let mut reader = File::open(mounted.path("web")).expect("opened");
    reader.read_to_end(&mut content).expect("read");
    drop(reader);
    assert_eq!(flushes(), 0, "a reader's close");
    File::open(mounted.path("web"))
        .expect("opened")
        .sync_all()
        .expect("fsync");
    assert_eq!(flushes(), 1, "a reader's fsync");
}
