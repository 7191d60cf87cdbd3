use super::*;
use std::boxed::Box;
use std::vec::Vec;

const WORDS: usize = 512;
/// Where the words lie that a stack's checks name, from its sp on.
const CHECKED: [usize; 4] = [0, 3, 9, 100];

/// A thread's stack as a stretch of words, and its cache.
struct Stack {
    words: Box<[usize; WORDS]>,
    cache: Box<FrontCache>,
}

impl Stack {
    fn new() -> Stack {
        // SAFETY: all-zero is the empty cache, by contract.
        let cache = unsafe { Box::<FrontCache>::new_zeroed().assume_init() };
        Stack { words: Box::new([0; WORDS]), cache }
    }

    fn home(&self) -> StackRange {
        let low = self.words.as_ptr() as usize;
        StackRange { low, high: low + WORDS * WORD }
    }

    fn sp(&self, at: usize) -> usize {
        self.home().low + at * WORD
    }

    /// Makes the stack at `at` be one with these return addresses.
    fn call(&mut self, at: usize, addresses: [usize; 4]) {
        for (distance, address) in CHECKED.into_iter().zip(addresses) {
            self.words[at + distance] = address;
        }
    }

    fn insert(&mut self, at: usize, id: u32) {
        let (sp, home) = (self.sp(at), self.home());
        let checks: Vec<Check> = CHECKED
            .into_iter()
            .rev()
            .map(|distance| Check {
                address: sp + distance * WORD,
                word: self.words[at + distance],
            })
            .collect();
        let key = Key { caller: self.words[at], sp, fp: 0 };
        self.cache.insert(&key, &home, StackId(id), false, &checks);
    }

    fn find(&self, at: usize) -> Option<u32> {
        // SAFETY: a word of the stretch stands where the return address would.
        unsafe { self.cache.find(self.sp(at), 0, &self.home()) }.map(|id| id.0)
    }

    /// A return address whose key at `at` shares its place in the index with
    /// that of `caller` at `other`.
    fn colliding(&self, at: usize, other: (usize, usize)) -> usize {
        let wanted = Hash::of(other.1, self.sp(other.0)).place();
        (0x5000_0000..).find(|&caller| Hash::of(caller, self.sp(at)).place() == wanted).unwrap()
    }
}

#[test]
fn stacks_whose_keys_share_a_place_are_both_known() {
    let mut stack = Stack::new();
    let first = 0x4000_1234;
    stack.call(8, [first, 2, 3, 4]);
    stack.insert(8, 100);
    let second = stack.colliding(200, (8, first));
    stack.call(200, [second, 2, 3, 4]);
    assert_eq!(stack.find(200), None);
    stack.insert(200, 200);
    for _ in 0..2 {
        assert_eq!((stack.find(8), stack.find(200)), (Some(100), Some(200)));
    }
    // A third drives one out, and no key leads to another's stack.
    let third = stack.colliding(350, (8, first));
    stack.call(350, [third, 2, 3, 4]);
    stack.insert(350, 300);
    assert_eq!(stack.find(350), Some(300));
    let left = [stack.find(8), stack.find(200)];
    assert!(left == [Some(100), None] || left == [None, Some(200)], "{left:?}");
}

#[test]
fn stacks_with_one_key_are_told_apart_by_words_further_out() {
    let mut stack = Stack::new();
    // Each parts from the others where two did before, or further out.
    let all = [[1, 2, 3, 4], [1, 6, 3, 4], [1, 8, 3, 4], [1, 6, 7, 4], [1, 6, 7, 8]];
    for (number, addresses) in all.into_iter().enumerate() {
        stack.call(8, addresses);
        assert_eq!(stack.find(8), None, "not met yet: {addresses:?}");
        stack.insert(8, number as u32 + 10);
        for known in 0..=number {
            stack.call(8, all[known]);
            assert_eq!(stack.find(8), Some(known as u32 + 10), "{:?}", all[known]);
        }
    }
    // The same frames with another caller between are none of them.
    for unknown in [[1, 2, 3, 8], [1, 2, 7, 4], [1, 6, 3, 8], [1, 9, 3, 4], [9, 2, 3, 4]] {
        stack.call(8, unknown);
        assert_eq!(stack.find(8), None, "{unknown:?}");
    }
    // One that parts further in: what it drives out is not known, never wrong.
    stack.call(8, [1, 2, 9, 4]);
    stack.insert(8, 20);
    assert_eq!(stack.find(8), Some(20));
    stack.call(8, [1, 2, 3, 4]);
    assert!(matches!(stack.find(8), None | Some(10)));
    // Words that are no part of the frames may be anything.
    stack.call(8, all[1]);
    (stack.words[8 + 4], stack.words[8 + 50]) = (77, 78);
    assert_eq!(stack.find(8), Some(11));
}

#[test]
fn more_stacks_of_one_key_than_are_told_apart_are_never_confused() {
    let mut stack = Stack::new();
    let mut known = 0;
    for round in 0..2 {
        for number in 0..300 {
            stack.call(8, [1, 2 + number % 7, 3 + number / 7 % 5, 4 + number / 35]);
            match stack.find(8) {
                Some(id) => {
                    assert_eq!(id, number as u32 + 10);
                    known += round;
                }
                None => stack.insert(8, number as u32 + 10),
            }
        }
    }
    assert!(known > 30, "{known} of 300");
}

#[test]
fn no_word_beyond_the_stack_is_looked_at() {
    let stack = Stack::new();
    let home = stack.home();
    let last = home.high - WORD;
    assert_eq!(word(last, 0, &home), Some(0));
    assert_eq!(word(last, 1, &home), None);
    assert_eq!(word(home.low, WORDS as u16 - 1, &home), Some(0));
    assert_eq!(word(home.low, WORDS as u16, &home), None);
    assert_eq!(word(home.low - WORD, 1, &home), None, "below the stack");
    assert_eq!(word(home.high, 0, &home), None, "above it");
    assert_eq!(word(usize::MAX - 15, 3, &home), None);
}

#[test]
fn nothing_is_known_after_clearing() {
    let mut stack = Stack::new();
    for at in [8, 40, 200] {
        stack.call(at, [at, 2, 3, 4]);
        stack.insert(at, at as u32);
        assert_eq!(stack.find(at), Some(at as u32));
    }
    stack.cache.clear();
    assert_eq!([8, 40, 200].map(|at| stack.find(at)), [None; 3]);
}
