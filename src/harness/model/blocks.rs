//! The model's blocks: allocated, resized, freed, in threads and in children.

use super::*;

impl Model {
    pub(super) fn allocate(&mut self, place: u8, function: Function, size: usize) {
        let rules = self.rules;
        let size = size.max(rules.least_size);
        if self.places[place as usize].is_some() || !self.is_known(function) {
            return;
        }
        let bytes = function.bytes(size).filter(|&bytes| bytes < IMPOSSIBLE);
        let command = Command::Allocate { place, function, size };
        if bytes.is_none() || !function.is_aligned_well() {
            let throws = matches!(
                function,
                Function::New { nothrow: false, .. } | Function::NewAligned { .. }
            );
            let strict =
                rules.strict_aligned_alloc || !matches!(function, Function::AlignedAlloc { .. });
            let errno = if function.is_aligned_well() { ENOMEM } else { EINVAL };
            if rules.refusals && !throws && strict {
                // C++ says nothing of errno.
                let is_new = matches!(function, Function::New { .. });
                let errno = self.errno(errno).filter(|_| !is_new);
                self.act(command, Outcome::Refused(errno));
            }
            return;
        }
        let bytes = bytes.unwrap_or_default();
        let alignment = rules.alignment_of(bytes, function.alignment());
        if bytes > rules.largest
            || function.alignment() > rules.largest_alignment
            || self.live_bytes + bytes > rules.most_live
        {
            return;
        }
        let id = self.new_block(function, bytes, function.alignment());
        self.act(command, Outcome::Block { id, size: bytes, alignment });
        self.places[place as usize] = Some((id, 0));
        self.ghosts[place as usize] = None;
        if matches!(function, Function::Calloc { .. }) {
            self.act(Command::Zero { place, size: bytes }, Outcome::Value(0));
        }
        self.fill(place, id);
    }

    pub(super) fn errno(&self, errno: i32) -> Option<i32> {
        self.rules.refusals_set_errno.then_some(errno)
    }

    pub(super) fn is_known(&self, function: Function) -> bool {
        let rules = &self.rules;
        match function {
            Function::Malloc | Function::Calloc { .. } | Function::Realloc => true,
            Function::AlignedAlloc { .. } => true,
            Function::New { .. } | Function::NewAligned { .. } => {
                rules.cxx && function.alignment().is_power_of_two()
            }
            Function::Memalign { alignment } => {
                rules.aligned_functions
                    && (rules.strict_aligned_alloc || alignment.is_power_of_two())
            }
            Function::Pvalloc => rules.pvalloc,
            _ => rules.aligned_functions,
        }
    }

    pub(super) fn fill(&mut self, place: u8, id: usize) {
        let Block { size, tag, .. } = self.blocks[id];
        self.act(Command::Fill { place, size, tag }, Outcome::Nothing);
        self.blocks[id].links = [None; LINKS as usize];
        self.blocks[id].linked = 0;
    }

    pub(super) fn verify(&mut self, place: u8, id: usize, size: usize) {
        let Block { tag, linked, .. } = self.blocks[id];
        self.act(Command::Verify { place, size, tag, links: linked }, Outcome::Value(0));
    }

    pub(super) fn retire(&mut self, place: u8, id: usize) {
        self.live_bytes -= self.blocks[id].size;
        self.blocks[id].freed = Some(self.site);
        self.places[place as usize] = None;
        self.ghosts[place as usize] = Some(id);
    }

    pub(super) fn resize(&mut self, place: u8, size: usize) {
        let Some(id) = self.held(place) else { return };
        let Block { function, alignment, size: old, .. } = self.blocks[id];
        let is_ours = matches!(function.family(), Family::Malloc | Family::Aligned);
        // A pointer to a block that may move or stay would mean either.
        if !is_ours || leaks::is_linked(self, id) {
            return;
        }
        let command = Command::Resize { place, size };
        if size >= IMPOSSIBLE {
            if self.rules.refusals {
                self.act(command, Outcome::Refused(self.errno(ENOMEM)));
                self.verify(place, id, old);
            }
            return;
        }
        if size == 0 {
            if self.rules.zero_resize_frees {
                self.verify(place, id, old);
                self.act(command, Outcome::Null);
                self.discover(Some(id));
                self.retire(place, id);
            }
            return;
        }
        if size > self.rules.largest || self.live_bytes + size > self.rules.most_live {
            return;
        }
        self.verify(place, id, old);
        let needed = if self.rules.resize_keeps_alignment { alignment } else { 1 };
        let new = self.new_block(function, size, needed);
        // The same bytes: what the old tag filled is still there.
        (self.blocks[new].tag, self.blocks[new].linked) =
            (self.blocks[id].tag, self.blocks[id].linked);
        let alignment = self.rules.alignment_of(size, needed);
        self.act(command, Outcome::Block { id: new, size, alignment });
        self.discover(Some(id));
        self.retire(place, id);
        self.ghosts[place as usize] = None;
        self.places[place as usize] = Some((new, 0));
        self.verify(place, new, old.min(size));
        self.blocks[new].tag = new as u32 + 1;
        self.fill(place, new);
    }

    pub(super) fn free(&mut self, place: u8, by: Release) {
        let Some(id) = self.held(place) else { return };
        let Block { size, function, alignment, .. } = self.blocks[id];
        // A stale pointer would hold whoever gets the memory next.
        if self.rules.leaks && self.rules.reuses_at_once && leaks::is_linked(self, id) {
            return;
        }
        let made = function.family();
        let (used, told) = match by {
            Release::Plain(family) if self.rules.families => (family, None),
            Release::Sized(family, more) if self.rules.sized => {
                (family, Some(size.saturating_add_signed(more as isize)))
            }
            _ => (made, None),
        };
        let fits = made == used || [made, used].iter().all(|&family| is_c(family));
        let lies = told.is_some_and(|told| told != size);
        let is_crime = !fits || lies;
        let (used, told) = match self.rules.crimes || !is_crime {
            true => (used, told),
            false => (made, None),
        };
        let used = if used == Family::Aligned && told.is_none() { Family::Malloc } else { used };
        self.verify(place, id, size);
        // What an aligned delete is told of a block that is aligned to less
        // would be a second lie.
        let alignment = alignment.max(if is_aligned_new(made) { 1 } else { 16 });
        let alignment = if is_aligned_new(used) && !is_aligned_new(made) { 16 } else { alignment };
        self.act(Command::Free { place, by: used, size: told, alignment }, Outcome::Nothing);
        if self.rules.crimes && lies {
            let crime = if is_c(used) { Crime::SizeMismatch } else { Crime::NewDeleteType };
            self.accuse(crime, Some(self.facts(id, 0)));
        }
        if self.rules.crimes && !fits {
            self.accuse(Crime::Mismatch, Some(self.facts(id, 0)));
        }
        self.discover(Some(id));
        self.retire(place, id);
    }

    pub(super) fn usable(&mut self, place: u8) {
        let Some(id) = self.held(place) else { return };
        let size = self.blocks[id].size;
        let outcome = match self.rules.exact_size {
            true => Outcome::Value(size),
            false => Outcome::AtLeast(size),
        };
        self.act(Command::Usable { place }, outcome);
        self.discover(Some(id));
    }

    pub(super) fn switch(&mut self, thread: u8, on: bool) {
        if !self.rules.threads || thread == 0 || self.running[thread as usize] == on {
            return;
        }
        self.thread = 0;
        self.running[thread as usize] = on;
        let command = if on { Command::Begin { thread } } else { Command::End { thread } };
        self.act(command, Outcome::Nothing);
    }

    /// The child does what the parent could, on a copy of everything.
    pub(super) fn fork(&mut self) {
        self.thread = 0;
        self.act(Command::Fork, Outcome::Nothing);
        let mut child = self.clone();
        let mut last = None;
        for place in 0..PLACES {
            child.free(place, Release::Fitting);
            let in_use = child.places[place as usize].is_some();
            last = if in_use { last } else { Some(place) };
        }
        if let Some(place) = last {
            child.allocate(place, Function::Calloc { count: 3 }, 20);
            child.resize(place, 1000);
        }
        self.actions = core::mem::take(&mut child.actions);
        self.act(Command::ChildEnd, Outcome::Value(0));
    }
}

fn is_c(family: Family) -> bool {
    matches!(family, Family::Malloc | Family::Aligned)
}

fn is_aligned_new(family: Family) -> bool {
    matches!(family, Family::NewAligned | Family::NewArrayAligned)
}
