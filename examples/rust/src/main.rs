//! Two ways to lose memory in safe Rust, and one that is none: run it, and the
//! report at exit names the lines. Exit code 23.

use std::cell::RefCell;
use std::rc::Rc;

#[global_allocator]
static HEAP: heapwarden::Heapwarden = heapwarden::Heapwarden;

struct Person {
    name: String,
    friend: RefCell<Option<Rc<Person>>>,
}

fn person(name: &str) -> Rc<Person> {
    Rc::new(Person { name: name.to_owned(), friend: RefCell::new(None) })
}

/// Each keeps the other alive, and nobody else knows them.
fn cycle() {
    let (one, other) = (person("Ada"), person("Grace"));
    *one.friend.borrow_mut() = Some(other.clone());
    *other.friend.borrow_mut() = Some(one.clone());
}

/// Forgotten: its destructor never runs.
fn forget() {
    std::mem::forget(vec![0u8; 1000]);
}

fn main() {
    if std::env::args().nth(1).as_deref() != Some("innocent") {
        cycle();
        forget();
    }
    let kept = person("Alan");
    println!("hello {}", kept.name);
}
