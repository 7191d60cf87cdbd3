use super::*;

#[test]
fn a_gate_opens_once_until_armed_and_at_most_once_a_second() {
    let gate = Gate::new();
    assert!(gate.pass(5 * SECOND));
    assert!(!gate.pass(5 * SECOND + 1));
    assert!(!gate.pass(50 * SECOND), "not armed again");
    gate.is_shut.store(false, Relaxed);
    assert!(gate.pass(51 * SECOND));
    gate.is_shut.store(false, Relaxed);
    assert!(!gate.pass(51 * SECOND + SECOND / 2), "too soon");
    assert!(gate.pass(52 * SECOND));
}

#[test]
fn a_thread_asks_once_and_another_may_ask_meanwhile() {
    let asking = Asking::begin().unwrap();
    assert!(Asking::begin().is_none());
    std::thread::spawn(|| assert!(Asking::begin().is_some())).join().unwrap();
    drop(asking);
    assert!(Asking::begin().is_some());
}
