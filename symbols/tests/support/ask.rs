//! Everything that can be asked of a file. Tests of damaged files and the fuzz
//! target of symbols (fuzz/bodies.rs) use it.

use heapwarden_symbols::{Files, Image, Module, Symbolizer};

/// One file in memory, by the name `/it`.
pub struct OneFile(pub &'static [u8]);

impl Files for OneFile {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        (path == b"/it").then_some(self.0)
    }
}

/// Asks everything of a file.
pub fn ask(bytes: &'static [u8], addresses: &[u64]) {
    let mut symbolizer = Symbolizer::new(OneFile(bytes), &[b"/debug"]);
    let module = symbolizer.add_module(Module { path: b"/it", ..Module::default() });
    for &svma in addresses {
        symbolizer.resolve(module, svma);
        symbolizer.resolve_data(module, svma);
    }
    symbolizer.find_function(module, "main");
    symbolizer.source(module);
    if let Some(image) = Image::parse(bytes) {
        image.build_id();
        image.load_bias(0x7f00_0000_0000, 0x1000, 4096);
        image.segments().count();
    }
}
