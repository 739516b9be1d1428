//! Through REST: what is wrong, odd or huge gets an error of its own code or is stored to the letter, and nothing is
//! half-written.

mod queries;
mod restart;
mod streams;
pub mod support;
mod tokens;
mod uploads;
mod values;
