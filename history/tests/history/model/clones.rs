//! Clones of moments: recorded, kept over crashes, given up; what they begin with is there as long
//! as they are.

use super::Run;
use disktime_history::{CloneEntry, Failure, Holder};

/// More would fill a small log for good.
const CLONES_MAX: usize = 2;

impl Run {
    fn new_clone(&mut self) -> CloneEntry {
        let serving = self.tree.serving();
        self.names += 1;
        let mut vdisk = [0; 16];
        vdisk[..4].copy_from_slice(&self.names.to_le_bytes());
        CloneEntry {
            vdisk,
            moment: serving[self.below(serving.len() as u64) as usize],
            name: format!("c{}", self.names),
            settings: "x".repeat(self.below(40) as usize),
        }
    }

    pub(super) fn clone_moment(&mut self) {
        self.settle();
        if self.tree.clones.len() >= CLONES_MAX {
            return self.drop_clone();
        }
        let clone = self.new_clone();
        let request = self.driver.request();
        match self.driver.log.record_clone(request, clone.clone()) {
            Ok(()) => match self.driver.finish(request, &mut self.random) {
                Ok(seq) => {
                    self.tree.note(seq);
                    self.promised = seq;
                    self.clones_made += 1;
                    self.tree.clones.push(clone);
                    self.check_refused_clones();
                }
                Err(why) => assert_eq!(why, Failure::Full),
            },
            Err(why) => assert_eq!(why, Failure::TooManyClones),
        }
    }

    /// What must not be recorded.
    fn check_refused_clones(&mut self) {
        let last = self.tree.clones.last().expect("one was made").clone();
        let same_name = CloneEntry {
            vdisk: [0xEE; 16],
            ..last.clone()
        };
        let same_vdisk = CloneEntry {
            name: "another".to_owned(),
            ..last.clone()
        };
        for clone in [same_name, same_vdisk] {
            let request = self.driver.request();
            let refused = self.driver.log.record_clone(request, clone);
            assert_eq!(refused, Err(Failure::CloneExists));
        }
        let gone = CloneEntry {
            vdisk: [0xEE; 16],
            name: "gone".to_owned(),
            moment: self.driver.log.status().newest + 1,
            ..last
        };
        let request = self.driver.request();
        let refused = self.driver.log.record_clone(request, gone);
        assert_eq!(refused, Err(Failure::NoSuchMoment));
    }

    /// Power is lost, or the server is killed, while the record is written.
    pub(super) fn clone_in_a_crash(&mut self) {
        self.settle();
        if self.tree.clones.len() < CLONES_MAX {
            let clone = self.new_clone();
            let request = self.driver.request();
            let taken = self.driver.log.record_clone(request, clone.clone());
            self.unsure_clone = taken.is_ok().then_some(clone);
        }
        self.crash();
    }

    pub(super) fn drop_clone(&mut self) {
        self.settle();
        if self.tree.clones.is_empty() {
            return;
        }
        let at = self.below(self.tree.clones.len() as u64) as usize;
        let clone = self.tree.clones.remove(at);
        let request = self.driver.request();
        let log = &mut self.driver.log;
        log.drop_clone(request, clone.vdisk).expect("it is there");
        self.driver
            .finish(request, &mut self.random)
            .expect("it is dropped");
        let again = self.driver.log.drop_clone(request, clone.vdisk);
        assert_eq!(again, Err(Failure::NoSuchClone));
    }

    /// All clones are there, hold the floor, and begin with what their moments were.
    pub(super) fn check_clones(&mut self) {
        let status = self.driver.log.status();
        let there: Vec<CloneEntry> = status.clones.into_iter().map(|clone| clone.entry).collect();
        if let Some(clone) = self.unsure_clone.take()
            && there.contains(&clone)
        {
            self.tree.clones.push(clone);
        }
        assert_eq!(there, self.tree.clones, "clones");
        let holders = self.driver.log.holders();
        for clone in there {
            assert!(holders.contains(&(clone.moment, Holder::Clone(clone.name.clone()))));
            assert!(status.floor <= clone.moment);
            self.check(Some(clone.moment));
        }
    }
}
