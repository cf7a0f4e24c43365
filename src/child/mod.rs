//! What a program that this process starts is handed: its environment, the context, and descriptors.

pub mod context;
pub mod environment;
pub mod handed;
