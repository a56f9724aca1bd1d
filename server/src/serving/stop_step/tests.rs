//! Unit tests of `stop_step`.

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn a_step_that_never_ends_is_given_up() {
    let never = within(
        Duration::from_millis(1),
        "ever",
        std::future::pending::<()>(),
    );
    assert_eq!(run(never), None);
}

#[test]
fn a_step_that_ends_has_its_result() {
    assert_eq!(run(within(STEP_TIME, "a moment", async { 7 })), Some(7));
}
