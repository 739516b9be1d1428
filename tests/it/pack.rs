//! Evidence packs.

mod proof;
