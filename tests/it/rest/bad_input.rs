//! Wrong, unusual and huge input through REST. Each is refused with an error code of its own or stored unchanged, and
//! nothing is stored in part.

mod queries;
mod restart;
mod streams;
pub mod support;
mod tokens;
mod uploads;
mod values;
