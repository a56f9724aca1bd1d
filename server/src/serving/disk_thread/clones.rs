//! The clones that are found when a thread opens its disks: what each gets, and what people should
//! be told of it.

use crate::assembly::{CloneAdmission, CloneSettings};
use disktime_reservations::{Admission, Configuration};
use disktime_volumes::{CloneConfig, CloneDisks};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The clones of a thread's disks.
pub(super) struct ClonesAtStart {
    configuration: Arc<Configuration>,
    admission: CloneAdmission,
    /// The disks, in the order of the thread.
    disks: Vec<String>,
    /// What clones get: for each disk, by name; one that has two is on both.
    settings: Vec<BTreeMap<String, CloneSettings>>,
    messages: Vec<String>,
}

impl ClonesAtStart {
    pub(super) fn new(
        configuration: &Arc<Configuration>,
        admissions: &[Admission],
        disks: &[&str],
    ) -> ClonesAtStart {
        ClonesAtStart {
            configuration: Arc::clone(configuration),
            admission: CloneAdmission::new(configuration, admissions),
            disks: disks.iter().map(|disk| (*disk).to_owned()).collect(),
            settings: vec![BTreeMap::new(); disks.len()],
            messages: Vec::new(),
        }
    }

    /// How a clone is served that was found on disks, with the text that was kept with it, or as
    /// its entry in the file says. A clone whose reservation has no place any more beside the
    /// file's is served without it; one whose name the file gives another vdisk is not served.
    pub(super) fn config(
        &mut self,
        disks: CloneDisks,
        name: &str,
        text: &str,
    ) -> Option<CloneConfig> {
        if self.configuration.vdisk(name).is_some() {
            return None;
        }
        let configuration = Arc::clone(&self.configuration);
        let mut entries = configuration.clones.iter();
        let entry = entries.find(|entry| entry.name.value == name);
        let kept = CloneSettings::parse(text);
        let settings = entry.map_or(kept, |entry| kept.overridden(entry));
        let mut on = vec![disks.image, disks.log];
        on.dedup();
        let served = match self.admit(&on, name, settings) {
            Ok(()) => settings,
            Err((disk, why)) => {
                self.messages.push(format!(
                    "{disk}: the clone `{name}` is served without its reservation, for which there \
                     is no time: {why}"
                ));
                settings.without_reservation()
            }
        };
        self.enter(&on, name, served);
        Some(CloneConfig {
            name: name.to_owned(),
            stream: served.stream_with(entry),
            max_bytes: settings.max_bytes,
            settings: text.to_owned(),
        })
    }

    /// Whether all disks of a clone can keep what it reserves; or the first that cannot, and why.
    fn admit(
        &mut self,
        on: &[usize],
        name: &str,
        settings: CloneSettings,
    ) -> Result<(), (String, String)> {
        if settings.reservation().is_none() {
            // It takes none of what others have reserved.
            return Ok(());
        }
        self.enter(on, name, settings);
        on.iter().try_for_each(|disk| {
            let all = self.settings[*disk].iter();
            let reserved = all.filter(|(_, settings)| settings.reservation().is_some());
            let reserved = reserved.map(|(name, settings)| (&**name, settings));
            let disk = &self.disks[*disk];
            let admitted = self.admission.admit(disk, reserved);
            admitted.map_err(|why| (disk.clone(), why))
        })
    }

    fn enter(&mut self, on: &[usize], name: &str, settings: CloneSettings) {
        for disk in on {
            self.settings[*disk].insert(name.to_owned(), settings);
        }
    }

    /// What a clone gets.
    pub(super) fn settings(&self, disk: usize, name: &str) -> CloneSettings {
        let of_disk = self.settings.get(disk);
        let settings = of_disk.and_then(|all| all.get(name));
        settings.copied().unwrap_or_default()
    }

    /// What people should be told.
    pub(super) fn messages(&self) -> &[String] {
        &self.messages
    }
}
