set -eu
cat >hello.rs <<'RUST'
use std::collections::BTreeMap;
fn main() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for word in "a rose is a rose is a rose".split(' ') {
        *count.entry(word.to_owned()).or_default() += 1;
    }
    let sum: usize = std::thread::spawn(move || count.values().sum()).join().unwrap();
    println!("hello {sum}");
}
RUST
rustc --edition 2021 -O -g hello.rs
./hello
echo 'fn main() { let x: u8 = "no"; }' >wrong.rs
rustc wrong.rs 2>&1 || echo "code $?"
