//! Unit tests of `held_requests`.

use super::*;
use disktime_engine::{RequestKind, VdiskId};

fn request(handle: u64) -> Request {
    Request {
        origin: 0,
        handle,
        vdisk: VdiskId(0),
        kind: RequestKind::Flush,
        offset_bytes: 0,
        len_bytes: 0,
        fua: false,
        buffer: None,
    }
}

/// Takes so many requests in, and gives the others back.
struct Vdisk {
    room: usize,
    taken: Vec<u64>,
}

impl Vdisk {
    fn submit(&mut self, request: Request) -> Result<(), Request> {
        if self.room == 0 {
            return Err(request);
        }
        self.room -= 1;
        self.taken.push(request.handle);
        Ok(())
    }
}

#[test]
fn requests_of_a_file_are_submitted_in_their_order_however_often_they_are_given_back() {
    let mut held = HeldRequests::default();
    let mut vdisk = Vdisk {
        room: 1,
        taken: Vec::new(),
    };
    for handle in 0..8 {
        // Space comes and goes: a new request must not take it before those that are held.
        vdisk.room += usize::from(handle == 4);
        let went = held.submit_or_hold(0, request(handle), |request| vdisk.submit(request));
        assert_eq!(went, handle == 0);
    }
    for room in [1, 2, 0, 1] {
        vdisk.room = room;
        let went = held.retry(|_, request| vdisk.submit(request));
        assert_eq!(went, room > 0);
        assert!(held.has_some(|position| position == 0));
    }
    vdisk.room = 9;
    assert!(held.retry(|_, request| vdisk.submit(request)));
    assert_eq!(vdisk.taken, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(!held.has_some(|_| true));
    assert!(held.submit_or_hold(0, request(8), |request| vdisk.submit(request)));
}

#[test]
fn a_full_file_holds_up_no_other() {
    let mut held = HeldRequests::default();
    for position in [0, 1] {
        assert!(!held.submit_or_hold(position, request(position as u64), Err));
    }
    assert!(held.submit_or_hold(2, request(2), |_| Ok(())));
    let mut went = Vec::new();
    let any = held.retry(|position, request| match position {
        0 => Err(request),
        _ => {
            went.push(request.handle);
            Ok(())
        }
    });
    assert!(any && went == [1]);
    assert!(held.has_some(|position| position == 0) && !held.has_some(|position| position == 1));
}
