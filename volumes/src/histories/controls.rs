//! What people ask of a history: marks, reverts, moments that are opened for reading.
//!
//! Each is answered by a callback, once: at once if it is refused, else when the log has done it.
//!
//! Not known here: who may ask, and whether clients use the vdisk.

use super::changed::ChangedDone;
use super::deferred::Ask;
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use disktime_engine::{IoError, VdiskId};
use disktime_history::{CloneEntry, Failure, Log, Moment, RequestId, Resolved, Seq, time_text};

/// Why it was not done: a sentence.
pub type HistoryError = String;

/// Hears of the seq of what was done: a mark's moment, the last seq after a revert.
pub type SeqDone = Box<dyn FnOnce(Result<Seq, HistoryError>) + Send>;

/// Hears of the handle of a moment that was opened, and of its seq.
pub type MomentDone = Box<dyn FnOnce(Result<(VdiskId, Seq), HistoryError>) + Send>;

/// What is known of a moment that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapKind {
    /// Where all blocks lie, when it is open: what clones begin with is only looked up.
    Whole,
    /// Nothing yet: it is open at once.
    Lazy,
}

/// What follows when a moment is resolved.
pub(super) enum Then {
    /// The revert that is being done goes on.
    Revert,
    /// It is opened, as a whole map or not.
    Open(MapKind, MomentDone),
    /// It was only asked.
    Nothing(SeqDone),
    /// What was written since is listed, up to this moment or now.
    Since(Option<Moment>, ChangedDone),
    /// What was written from the other one to this one is listed.
    Until(Seq, ChangedDone),
}

impl Then {
    /// The caller that waits hears that it is not done.
    fn refuse(self, why: &str) {
        let why = why.to_owned();
        match self {
            // Who asked for the revert is told with it.
            Then::Revert => {}
            Then::Open(_, done) => done(Err(why)),
            Then::Nothing(done) => done(Err(why)),
            Then::Since(_, done) | Then::Until(_, done) => done(Err(why)),
        }
    }
}

impl LoggedVdisk {
    /// The vdisk goes: who waits for something that was asked of its history hears why that is not
    /// done.
    pub(crate) fn refuse_controls(&mut self, why: &str) {
        for purpose in self.asked.drain() {
            match purpose {
                LogPurpose::Control(done) => done(Err(why.to_owned())),
                LogPurpose::Open(_, done) => done(Err(why.to_owned())),
                LogPurpose::Changed(_, _, done) => done(Err(why.to_owned())),
                LogPurpose::Resolve(then) => then.refuse(why),
                LogPurpose::Revert
                | LogPurpose::Fetch(_)
                | LogPurpose::Change { .. }
                | LogPurpose::Flush(_) => {}
            }
        }
        for (_, _, done) in self.take_opened() {
            done(Err(why.to_owned()));
        }
        if let Some(revert) = self.revert.take() {
            revert.refuse(why);
        }
        self.fail_deferred(IoError::Shutdown, &why.to_owned());
        self.refuse_hold(why);
        self.refuse_verify(why);
    }

    /// The newest content gets a name.
    pub(crate) fn mark(&mut self, name: &str, done: SeqDone) {
        let name = name.to_owned();
        self.control(done, Box::new(move |log, of| log.mark(of, &name, None)));
    }

    /// A mark is given up: it keeps its moment no longer.
    pub(crate) fn drop_mark(&mut self, name: &str, done: SeqDone) {
        let name = name.to_owned();
        self.control(done, Box::new(move |log, of| log.drop_mark(of, &name)));
    }

    /// A clone of a moment is recorded.
    pub(crate) fn record_clone(&mut self, clone: CloneEntry, done: SeqDone) {
        let ask = move |log: &mut Log, of| log.record_clone(of, clone.clone());
        self.control(done, Box::new(ask));
    }

    /// A clone is given up.
    pub(crate) fn drop_clone(&mut self, vdisk: [u8; 16], done: SeqDone) {
        self.control(done, Box::new(move |log, of| log.drop_clone(of, vdisk)));
    }

    /// What a revert left behind is given up.
    pub(crate) fn drop_branch(&mut self, id: u64, done: SeqDone) {
        self.control(done, Box::new(move |log, of| log.drop_branch(of, id)));
    }

    /// Durable data that is lost is given up, so that the log can be written again.
    pub(crate) fn accept_loss(&mut self, done: SeqDone) {
        self.control(done, Box::new(Log::accept_loss));
    }

    /// A moment is opened for reading.
    pub(super) fn open_moment(&mut self, moment: &Moment, kind: MapKind, done: MomentDone) {
        self.resolve(moment, Then::Open(kind, done));
    }

    /// Finds the seq of a moment.
    pub(super) fn find_moment(&mut self, moment: &Moment, done: SeqDone) {
        self.resolve(moment, Then::Nothing(done));
    }

    pub(super) fn control(&mut self, done: SeqDone, mut ask: Ask) {
        let entry = self.asked.vacant_entry();
        match ask(&mut self.parts.log, RequestId(entry.key() as u64)) {
            Ok(()) => {
                entry.insert(LogPurpose::Control(done));
                self.pump();
            }
            Err(Failure::Unwritten | Failure::NotOpen) if !self.deferred.is_there() => {
                self.control_waits_for_area(done, ask);
            }
            Err(why) => done(Err(self.sentence(why))),
        }
    }

    pub(super) fn resolve(&mut self, moment: &Moment, then: Then) {
        let entry = self.asked.vacant_entry();
        let request = RequestId(entry.key() as u64);
        let now_ns = self.since_1970_ns();
        let resolved = self.parts.log.resolve(request, moment, now_ns);
        match resolved {
            Ok(Resolved::Seq(seq)) => self.moment_is_resolved(then, Ok(seq)),
            Ok(Resolved::Later) => {
                self.asked.insert(LogPurpose::Resolve(then));
                self.pump();
            }
            Err(why) => self.moment_is_resolved(then, Err(why)),
        }
    }

    /// It is known which seq a moment is, or that there is none.
    pub(super) fn moment_is_resolved(&mut self, then: Then, result: Result<Seq, Failure>) {
        match (result, then) {
            (Err(why), Then::Revert) => self.revert_is_done(Err(why)),
            (Ok(seq), Then::Revert) => self.revert_to(seq),
            (Err(why), Then::Nothing(done)) => done(Err(self.sentence(why))),
            (Ok(seq), Then::Nothing(done)) => done(Ok(seq)),
            (Err(why), Then::Open(_, done)) => done(Err(self.sentence(why))),
            (Err(why), Then::Since(_, done) | Then::Until(_, done)) => {
                done(Err(self.sentence(why)));
            }
            (Ok(since), Then::Since(until, done)) => self.changed_since(since, until, done),
            (Ok(until), Then::Until(since, done)) => self.changed_between(since, until, done),
            (Ok(seq), Then::Open(kind, done)) => {
                let entry = self.asked.vacant_entry();
                let request = RequestId(entry.key() as u64);
                let log = &mut self.parts.log;
                let taken = match kind {
                    MapKind::Whole => log.open_view(request, seq),
                    MapKind::Lazy => log.open_view_lazily(request, seq),
                };
                match taken {
                    Ok(()) => {
                        entry.insert(LogPurpose::Open(seq, done));
                        self.pump();
                    }
                    Err(why) => done(Err(self.sentence(why))),
                }
            }
        }
    }

    /// A failure as people read it: with the window, where the moment is at fault.
    pub(super) fn sentence(&self, why: Failure) -> HistoryError {
        let name = &self.parts.name;
        if why != Failure::NoSuchMoment && why != Failure::NoSuchMark {
            return format!("`{name}`: {why}");
        }
        let status = self.parts.log.status();
        let marks: Vec<&str> = status.marks.iter().map(|mark| mark.name.as_str()).collect();
        let marks = match marks.as_slice() {
            [] => "there are no marks".to_owned(),
            marks => format!("the marks are {}", marks.join(", ")),
        };
        let began = status.oldest_time_ns.map(time_text);
        format!(
            "`{name}`: {why}; the window goes from seq:{} ({}) to seq:{} ({}), and {marks}",
            status.oldest_restorable,
            began.unwrap_or_else(|| "nothing was written".to_owned()),
            status.newest,
            time_text(status.newest_time_ns)
        )
    }
}
