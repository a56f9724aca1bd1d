//! What a session does with what it holds when its connection ends or stands still.

use super::*;

/// A write that has come whole into its own buffer is submitted though no more will come.
#[test]
fn a_complete_write_is_taken_after_the_end_of_input() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let start = RequestHeader::new(command::WRITE, 1, 0, 100).encode();
    assert!(requests_in(&mut session, &mut pool, &start).is_empty());
    session.space(&mut pool).fill(7);
    session.filled(100);
    session.end_of_input();
    assert_eq!(session.status(), SessionStatus::Open);
    assert!(session.next_request(&mut pool).is_some());
    assert_eq!(session.status(), SessionStatus::Finishing);
}

/// Replies that wait are sent by one system call, not by one each.
#[test]
fn all_waiting_replies_go_out_together() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let bytes = [read(1, 0, 3), read(2, 0, 3), read(3, 0, 3)].concat();
    for request in requests_in(&mut session, &mut pool, &bytes) {
        session.reply(request.reply(Ok(())), &mut pool);
    }
    let mut slices = [IoSlice::new(&[]); 16];
    let used = session.outgoing(&mut slices);
    let waiting: usize = slices[..used].iter().map(|slice| slice.len()).sum();
    assert_eq!(waiting, 3 * (SimpleReply::BYTES + 3));
}

#[test]
fn buffers_count_from_the_header_of_their_request_to_its_reply() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let mut requests = requests_in(&mut session, &mut pool, &read(1, 0, MIB));
    assert!(session.buffer_bytes_held() >= MIB as usize);
    let request = requests.pop().expect("the read");
    session.reply(request.reply(Ok(())), &mut pool);
    assert!(
        session.buffer_bytes_held() >= MIB as usize,
        "it is not sent"
    );
    take_sent(&mut session, &mut pool, usize::MAX);
    assert_holds_nothing(&session);
}

/// An incomplete write and an unsent reply give their buffers back, and what was received and not
/// taken is never submitted.
#[test]
fn an_abandoned_session_gives_its_buffers_back_and_submits_nothing() {
    let limits = SessionLimits {
        requests: 2,
        ..SessionLimits::default()
    };
    let (mut session, mut pool) = (session(limits), pool());
    let mut requests = requests_in(&mut session, &mut pool, &read(1, 0, 64 << 10));
    let request = requests.pop().expect("the read");
    let of_the_reply = request.buffer.as_ref().expect("its room").as_ptr();
    session.reply(request.reply(Ok(())), &mut pool);
    let start = RequestHeader::new(command::WRITE, 2, 0, MIB).encode();
    requests_in(&mut session, &mut pool, &start);
    let of_the_write = session.space(&mut pool).as_ptr();
    session.abandon(&mut pool);
    assert_eq!(pool.take(MIB as usize).as_ptr(), of_the_write);
    assert_eq!(pool.take(64 << 10).as_ptr(), of_the_reply);
    assert!(session.space(&mut pool).is_empty());

    let (mut session, mut pool) = (super::session(limits), super::pool());
    let three = [read(1, 0, 1), read(2, 0, 1), read(3, 0, 1)].concat();
    let taken = requests_in(&mut session, &mut pool, &three);
    assert_eq!(taken.len(), 2, "the third waits in the input");
    session.abandon(&mut pool);
    for request in taken {
        session.reply(request.reply(Ok(())), &mut pool);
    }
    take_sent(&mut session, &mut pool, usize::MAX);
    assert!(session.next_request(&mut pool).is_none());
}
