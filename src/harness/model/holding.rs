//! The model's pointers: which place or block holds which block.

use super::*;
use crate::units::align_down;

impl Model {
    pub(super) fn drop_pointer(&mut self, place: u8) {
        if self.rules.leaks && self.places[place as usize].take().is_some() {
            self.act(Command::Forget { place }, Outcome::Nothing);
        }
    }

    pub(super) fn hide(&mut self, place: u8, words: u16) {
        let Some((id, inside)) = self.places[place as usize].filter(|_| self.rules.leaks) else {
            return;
        };
        let size = self.blocks[id].size;
        let farthest = if self.rules.holds_from_behind { size } else { size.saturating_sub(1) };
        let offset = match inside {
            0 if farthest < WORD => return,
            0 => WORD + usize::from(words) % (farthest / WORD) * WORD,
            _ => 0,
        };
        self.places[place as usize] = Some((id, offset));
        self.act(Command::Shift { place, offset: offset as i64 - inside as i64 }, Outcome::Nothing);
    }

    pub(super) fn link(&mut self, from: u8, slot: u8, to: u8, words: u16) {
        let (Some(holder), Some(held)) = (self.held(from), self.held(to)) else { return };
        let room = self.blocks[holder].size >= (usize::from(slot) + 1) * WORD;
        if !self.rules.leaks || !room {
            return;
        }
        let size = self.blocks[held].size;
        let offset = match size {
            0..16 => 0,
            _ => align_down(usize::from(words) * WORD % size, WORD),
        };
        self.act(Command::Store { from, slot, to, offset }, Outcome::Nothing);
        self.blocks[holder].links[slot as usize] = Some((held, offset));
        self.blocks[holder].linked |= 1 << slot;
    }

    pub(super) fn unlink(&mut self, from: u8, slot: u8) {
        let Some(holder) = self.held(from).filter(|_| self.rules.leaks) else { return };
        if self.blocks[holder].links[slot as usize].take().is_some() {
            self.act(Command::Clear { from, slot }, Outcome::Nothing);
        }
    }
}
