//! The model's crimes: what is done, and which verdict must come of it.
//!
//! Invariant: a damage has one explanation, whoever finds it first; one that has
//! not is found at once by the block that it is told of.

use super::*;

impl Model {
    pub(super) fn free_again(&mut self, place: u8, size: Option<usize>) {
        let Some(id) = self.ghosts[place as usize].filter(|_| self.rules.crimes) else { return };
        let (command, outcome, crime) = match size {
            None => (Command::FreeGhost { place }, Outcome::Nothing, Crime::DoubleFree),
            Some(size) if size < IMPOSSIBLE => (
                Command::ResizeGhost { place, size },
                Outcome::Refused(self.errno(ENOMEM)),
                Crime::UseAfterFree,
            ),
            Some(_) => return,
        };
        self.act(command, outcome);
        self.accuse(crime, Some(self.facts(id, 0)));
    }

    pub(super) fn free_inside(&mut self, place: u8, offset: usize) {
        let Some(id) = self.held(place).filter(|_| self.rules.crimes) else { return };
        let offset = 1 + offset % (self.blocks[id].size + 7);
        self.act(Command::FreeInside { place, offset }, Outcome::Nothing);
        self.accuse(Crime::BadFree, Some(self.facts(id, offset as i64)));
    }

    pub(super) fn damage(&mut self, place: u8, bytes: Damage, length: u8, found: Found) {
        if !self.rules.crimes || self.pending.is_some() {
            return;
        }
        let Some((id, offset, length, at_once)) = self.extent(place, bytes, length) else { return };
        let freed = matches!(bytes, Damage::Freed { .. });
        self.act(Command::Damage { place, freed, offset, length }, Outcome::Nothing);
        let crime = match bytes {
            Damage::Behind { .. } => Crime::Overflow,
            Damage::Before { .. } => Crime::Underflow,
            Damage::Freed { .. } => Crime::UseAfterFree,
        };
        let number = self.verdicts;
        self.verdicts += 1;
        let block = Some(self.facts(id, offset));
        self.pending = Some(Verdict { number, crime, block, site: None });
        match found {
            Found::AtCheck if freed || !at_once => self.operate(&Operation::Check),
            _ if freed => {}
            Found::AtResize(size) if !self.rules.may_refuse => {
                self.resize(place, size.clamp(1, self.rules.largest));
            }
            Found::AtUsable => self.usable(place),
            Found::Later if !at_once && !self.hides_the_block(crime) => return,
            _ => {}
        }
        if (at_once && self.pending.is_some()) || (found == Found::AtFree && !freed) {
            self.free(place, Release::Fitting);
        }
        if self.hides_the_block(crime) && self.pending.is_some() {
            self.operate(&Operation::Check);
        }
    }

    /// Whether other crimes with the block would not be judged as its own while
    /// the damage is there.
    fn hides_the_block(&self, crime: Crime) -> bool {
        self.rules.judges_by_header && crime == Crime::Underflow
    }

    /// Block, first byte, and number of bytes of a damage that has one
    /// explanation; and whether the block itself must find it.
    pub(super) fn extent(
        &self,
        place: u8,
        bytes: Damage,
        length: u8,
    ) -> Option<(usize, i64, u8, bool)> {
        // Beyond the last byte of the guard but one there may be another block.
        let fits = |distance: u8, length: u8| {
            (distance % GUARDED, length.min(GUARDED - distance % GUARDED))
        };
        match bytes {
            Damage::Behind { distance } => {
                let id = self.held(place)?;
                let end = self.blocks[id].size as i64;
                let (distance, part) = fits(distance, length);
                match distance {
                    0 => Some((id, end, length.min(WORD as u8), false)),
                    _ => Some((id, end + i64::from(distance), part, true)),
                }
            }
            Damage::Before { distance } => {
                let id = self.held(place).filter(|_| self.rules.underflows)?;
                let Block { size, alignment, .. } = self.blocks[id];
                if size > SURELY_SLOT || alignment > 4096 {
                    return None;
                }
                let (distance, length) = fits(distance, length);
                Some((id, -i64::from(distance + length), length, distance > 0))
            }
            Damage::Freed { offset } => {
                let id = self.ghosts[place as usize]?;
                let Block { size, alignment, .. } = self.blocks[id];
                let edge = self.rules.poisoned_edge;
                // A small block that is aligned to more lies in a large slot.
                let is_whole = size <= WATCHED_WHOLE && alignment <= 1024;
                let first = self.rules.unwatched_start;
                if edge == 0 || size <= first {
                    return None;
                }
                let mut offset = first + offset % (size - first);
                if !is_whole && offset >= edge {
                    let from_end = 1 + offset % edge.min(size - first);
                    offset = size - from_end;
                }
                let watched = if !is_whole && offset < edge { edge.min(size) } else { size };
                let length = usize::from(length).min(watched - offset) as u8;
                Some((id, offset as i64, length, false))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of bytes was cut to its lowest eight bits before it was
    /// compared: of some offsets nothing was changed, and a verdict awaited.
    #[test]
    fn damage_changes_a_byte_of_the_freed_block_at_least_and_none_beyond_it() {
        for poisoned_edge in [120, usize::MAX / 4] {
            for size in [1, 999, 1071, 5000] {
                let mut model = Model::new(&Rules { poisoned_edge, ..Rules::HEAPWARDEN });
                model.allocate(0, Function::Malloc, size);
                model.free(0, Release::Fitting);
                for offset in 0..6000 {
                    let (_, first, length, _) =
                        model.extent(0, Damage::Freed { offset }, 8).expect("is watched");
                    let end = first + i64::from(length);
                    assert!(length > 0 && end <= size as i64, "{offset}: {first} to {end}");
                }
            }
        }
    }
}
