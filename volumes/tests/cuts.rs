//! One cut through several vdisks, while clients write to both of them: no cut has a write without
//! those that its client had seen answered before.

mod common;

use common::histories::{call_moment, open_at, open_moment, with_history};
use common::{BLANK, MIB, Machine, TestDisk, new_disk};
use disktime_engine::{RequestKind, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::Uuid;
use std::sync::mpsc::{Receiver, channel};

const BLOCK: u64 = 4096;
const CLIENTS: u64 = 6;
const CUTS: usize = 8;
/// The vdisks, in the order in which clients write to them.
const DB: u32 = 0;
const WEB: u32 = 1;

/// A client that writes a number to the one vdisk, waits for the answer, writes it to the other
/// one, and goes on with the next number.
struct Client {
    block: u64,
    number: u64,
    vdisk: u32,
    handle: u64,
}

impl Client {
    fn write(&mut self, machine: &mut Machine<TestDisk>) {
        let mut data = vec![0; BLOCK as usize];
        data[..8].copy_from_slice(&self.number.to_le_bytes());
        let place = (self.block * BLOCK, BLOCK);
        let fua = self.block.is_multiple_of(2);
        let taken = machine.submit(self.vdisk, RequestKind::Write, place, Some(&data), fua);
        self.handle = taken.expect("room for so few");
    }

    fn go_on(&mut self, machine: &mut Machine<TestDisk>) {
        (self.vdisk, self.number) = match self.vdisk {
            DB => (WEB, self.number),
            _ => (DB, self.number + 1),
        };
        self.write(machine);
    }
}

fn two() -> Machine<TestDisk> {
    let db = with_history(MIB, 1 << 50, WhenFull::Shorten);
    let mut web = db.clone();
    web.spec.name = "web".to_owned();
    let disk = TestDisk::around(new_disk(192 * MIB, 4096, 1), 128 << 10);
    let opened = open_at(disk, &[db, web], BLANK, Nanos::ZERO);
    opened.expect("it opens").0
}

type Heard = Receiver<Result<u64, String>>;

/// What is asked of each vdisk; the answers come later.
fn ask_both(
    machine: &mut Machine<TestDisk>,
    mut ask: impl FnMut(&mut Machine<TestDisk>, VdiskId, Box<dyn FnOnce(Result<u64, String>) + Send>),
) -> Vec<Heard> {
    let mut heard = Vec::new();
    for vdisk in [DB, WEB] {
        let (sender, receiver) = channel();
        let id = machine.handle(vdisk);
        ask(
            machine,
            id,
            Box::new(move |result| sender.send(result).expect("it is waited for")),
        );
        heard.push(receiver);
    }
    heard
}

/// One turn, in which the clients go on, too.
fn step(machine: &mut Machine<TestDisk>, clients: &mut [Client]) {
    assert!(machine.step(), "something is to come");
    for reply in std::mem::take(&mut machine.replies) {
        assert_eq!(reply.result, Ok(()));
        let mut clients = clients.iter_mut();
        let client = clients.find(|client| client.handle == reply.handle);
        client.expect("it asked").go_on(machine);
    }
}

/// Goes on until all have answered.
fn wait(machine: &mut Machine<TestDisk>, clients: &mut [Client], heard: Vec<Heard>) {
    for one in heard {
        let answer = loop {
            match one.try_recv() {
                Ok(answer) => break answer,
                Err(_) => step(machine, clients),
            }
        };
        answer.expect("it is done");
    }
}

/// Marks both while the clients write.
fn cut(machine: &mut Machine<TestDisk>, clients: &mut [Client], number: usize, holds: bool) {
    let (name, cut) = (format!("cut{number}"), Uuid::derive(number as u64, &[]));
    if !holds {
        for vdisk in [WEB, DB] {
            let (sender, receiver) = channel();
            let id = machine.handle(vdisk);
            let done = Box::new(move |result| sender.send(result).expect("it is waited for"));
            machine.set.mark(id, &name, done);
            wait(machine, clients, vec![receiver]);
        }
        return;
    }
    let held = ask_both(machine, |machine, id, done| {
        machine.set.hold(id, cut, &name, done);
    });
    wait(machine, clients, held);
    let other = Uuid::derive(99, &[]);
    let refused = ask_both(machine, |machine, id, done| {
        machine.set.hold(id, other, "other", done);
    });
    for one in refused {
        let why = one.try_recv().expect("at once").expect_err("one at a time");
        assert!(why.contains("another cut is being made"), "{why}");
    }
    let marked = ask_both(machine, |machine, id, done| {
        // The end of another cut releases nothing.
        machine.set.release(id, other);
        machine.set.mark_cut(id, &name, (cut, 2), done);
    });
    wait(machine, clients, marked);
    for vdisk in [DB, WEB] {
        let id = machine.handle(vdisk);
        machine.set.release(id, cut);
    }
}

/// The numbers of all clients at a mark.
fn numbers_at(machine: &mut Machine<TestDisk>, vdisk: u32, mark: &str) -> Vec<u64> {
    let moment = Moment::Mark(mark.to_owned());
    let (past, _) = open_moment(machine, vdisk, &moment).expect("it opens");
    let read = call_moment(machine, past, RequestKind::Read, CLIENTS * BLOCK);
    let data = read.expect("its data");
    let numbers = data.chunks(BLOCK as usize);
    let number = |block: &[u8]| u64::from_le_bytes(block[..8].try_into().expect("8 bytes"));
    machine.set.close_moment(past);
    numbers.map(number).collect()
}

/// How many cuts have the later write of a client without the earlier one.
fn wrong_cuts(seed: u64, holds: bool) -> usize {
    let mut machine = two();
    let mut random = SplitMix64::new(seed);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|block| Client {
            block,
            number: 1,
            vdisk: DB,
            handle: 0,
        })
        .collect();
    for client in &mut clients {
        client.write(&mut machine);
    }
    for number in 0..CUTS {
        for _ in 0..random.below(40) {
            step(&mut machine, &mut clients);
        }
        cut(&mut machine, &mut clients, number, holds);
    }
    let replies = machine.settle();
    assert!(replies.iter().all(|reply| reply.result.is_ok()));
    let mut wrong = 0;
    for number in 0..CUTS {
        let name = format!("cut{number}");
        let first = numbers_at(&mut machine, DB, &name);
        let second = numbers_at(&mut machine, WEB, &name);
        let mut pairs = first.iter().zip(&second);
        wrong += usize::from(pairs.any(|(first, second)| first < second || *first > second + 1));
    }
    wrong
}

#[test]
fn no_cut_has_the_later_write_without_the_earlier_one() {
    for seed in 0..12 {
        assert_eq!(wrong_cuts(seed, true), 0, "seed {seed}");
    }
    // Marks that are set one after the other are no cut: the test would see it.
    let without: usize = (0..12).map(|seed| wrong_cuts(seed, false)).sum();
    assert!(without > 0, "marks of different moments");
}
