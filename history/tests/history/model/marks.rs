//! Marks of a run.

use super::Run;
use disktime_history::Failure;

impl Run {
    pub(super) fn mark(&mut self) {
        self.settle();
        self.names += 1;
        let name = format!("m{:04}", self.names);
        let request = self.driver.request();
        match self.driver.log.mark(request, &name, None) {
            Ok(()) => match self.driver.finish(request, &mut self.random) {
                Ok(seq) => {
                    self.tree.note(seq);
                    self.tree.marks.insert(name, seq);
                    self.promised = seq;
                }
                Err(why) => assert_eq!(why, Failure::Full),
            },
            Err(why) => assert_eq!(why, Failure::TooMany),
        }
    }

    pub(super) fn drop_mark(&mut self) {
        self.settle();
        let names: Vec<String> = self.tree.marks.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = &names[self.below(names.len() as u64) as usize];
        let moment = self.tree.marks[name];
        let is_cloned = self.tree.clones.iter().any(|clone| clone.moment == moment);
        let request = self.driver.request();
        self.driver.log.drop_mark(request, name).map_or_else(
            |why| assert_eq!(why, Failure::MarkIsCloned),
            |()| assert!(!is_cloned),
        );
        if is_cloned {
            return;
        }
        self.driver
            .finish(request, &mut self.random)
            .expect("it is dropped");
        self.tree.marks.remove(name);
    }
}
