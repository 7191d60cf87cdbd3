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
            Found::Later if !at_once => return,
            _ => {}
        }
        if (at_once && self.pending.is_some()) || (found == Found::AtFree && !freed) {
            self.free(place, Release::Fitting);
        }
    }

    /// Block, first byte, and number of bytes of a damage that has one
    /// explanation; and whether the block itself must find it.
    pub(super) fn extent(
        &self,
        place: u8,
        bytes: Damage,
        length: u8,
    ) -> Option<(usize, i64, u8, bool)> {
        let fits = |distance: u8, length: u8| (distance % 7, length.min(7 - distance % 7));
        match bytes {
            Damage::Behind { distance } => {
                let id = self.held(place)?;
                let end = self.blocks[id].size as i64;
                let (distance, part) = fits(distance, length);
                match distance {
                    0 => Some((id, end, length, false)),
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
                let length = (size - offset).min(usize::from(length)) as u8;
                let crosses = !is_whole && offset < edge;
                let length = if crosses { length.min((edge - offset) as u8) } else { length };
                Some((id, offset as i64, length, false))
            }
        }
    }
}
