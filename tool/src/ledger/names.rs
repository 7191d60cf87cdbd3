//! Names: frames as a report shows them, with functions, files and lines.

use super::stacks::{End, RawFrame, Stacks};
use crate::record::{Frame, Stack};
use crate::symbolize::MappedFiles;
use heapwarden_symbols::{Module, ModuleId, Symbolizer};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Names the frames of one process.
pub struct Names {
    symbolizer: Symbolizer<MappedFiles>,
    modules: HashMap<u16, ModuleId>,
    stacks: HashMap<u32, Stack>,
    /// Where files of the process are, if not here: `/proc/PID/root`.
    file_root: Option<PathBuf>,
    /// The program's file, as given by the user, in place of the recorded one.
    program: Option<PathBuf>,
}

impl Names {
    /// Names from the files of this machine; `program` stands for the file of
    /// the process's program, whatever it was called.
    pub fn new(program: Option<&Path>) -> Names {
        Names {
            symbolizer: Symbolizer::new(MappedFiles, &[]),
            modules: HashMap::new(),
            stacks: HashMap::new(),
            file_root: None,
            program: program.map(Path::to_owned),
        }
    }

    /// Names for the running process `pid`, which may see other files.
    pub fn of_process(pid: u32) -> Names {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let is_other = |name| {
            let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
            link(&pid.to_string()) != link("self")
        };
        let file_root = (is_other("mnt") && root.exists()).then_some(root);
        Names { file_root, ..Names::new(None) }
    }

    /// The frames of a stack, innermost first, and how it ended.
    pub fn stack(&mut self, stacks: &Stacks, stack: u32) -> Stack {
        if let Some(known) = self.stacks.get(&stack) {
            return known.clone();
        }
        let mut raw = Vec::new();
        let _: End = stacks.walk(stack, |frame| raw.push(frame));
        let mut named = Stack::new();
        for frame in raw {
            self.name(stacks, frame, &mut named);
        }
        self.stacks.insert(stack, named.clone());
        named
    }

    fn name(&mut self, stacks: &Stacks, frame: RawFrame, named: &mut Stack) {
        // The call is the instruction that ends before the return address.
        let call = frame.address.wrapping_sub(1);
        let found = match frame.module {
            0 => stacks.module_at(call),
            number => stacks.module(number).map(|module| (number, module)),
        };
        let address = Some(format!("{call:#x}"));
        let Some((number, module)) = found else {
            return named.push(Frame { address, ..Frame::default() });
        };
        let svma = call.wrapping_sub(module.bias);
        let place = Frame {
            module: Some(String::from_utf8_lossy(&module.path).into_owned()),
            offset: Some(format!("{svma:#x}")),
            build_id: (!module.build_id.is_empty()).then(|| hexadecimal(&module.build_id)),
            address,
            ..Frame::default()
        };
        let id = match self.modules.get(&number) {
            Some(id) => *id,
            None => {
                let id = self.add(module);
                self.modules.insert(number, id);
                id
            }
        };
        let functions = self.symbolizer.resolve(id, svma);
        if functions.is_empty() {
            return named.push(place);
        }
        named.extend(functions.iter().map(|function| Frame {
            function: function.function.map(str::to_owned),
            file: function.file.map(str::to_owned),
            line: function.line,
            column: function.column,
            inlined: function.inlined,
            ..place.clone()
        }));
    }

    fn add(&mut self, module: &super::stacks::Module) -> ModuleId {
        let own = Path::new(std::ffi::OsStr::from_bytes(&module.path));
        let given = self.program.as_deref().filter(|given| {
            given.file_name() == own.file_name()
                || build_id_of(given).as_deref() == Some(&*module.build_id)
        });
        let path = match (given, &self.file_root) {
            (Some(given), _) => std::path::absolute(given).unwrap_or_else(|_| given.to_owned()),
            (None, Some(root)) => root.join(own.strip_prefix("/").unwrap_or(own)),
            (None, None) => own.to_owned(),
        };
        self.symbolizer.add_module(Module {
            path: path.as_os_str().as_bytes(),
            build_id: Some(&module.build_id),
            end: u64::MAX,
            ..Module::default()
        })
    }
}

/// The GNU build-id of a file.
pub fn build_id_of(path: &Path) -> Option<Vec<u8>> {
    use object::Object;
    let file = std::fs::File::open(path).ok()?;
    // SAFETY: read-only; a file that shrinks meanwhile ends this tool.
    let map = unsafe { memmap2::Mmap::map(&file) }.ok()?;
    object::File::parse(&*map).ok()?.build_id().ok()?.map(<[u8]>::to_vec)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
