//! The model to the bytes of a compiled policy.

mod filter;
mod scope;
mod vhosts;
mod writer;

use crate::model::Config;
use portcullis_policy::BackstopKind;
use portcullis_policy::format::{Section, Source};
use scope::Scopes;
use writer::Writer;

/// Compiles `config`.
#[must_use]
pub fn compile(config: &Config) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut scopes = Scopes::default();
    scopes.global(config, &mut writer);
    scopes.strictest(config, &mut writer);
    vhosts::write(config, &mut scopes, &mut writer);
    for source in &config.sources {
        let mut path = source.path.as_os_str().as_encoded_bytes().to_vec();
        path.push(0);
        let record = Source { path: writer.text(&path), mtime: source.mtime.into(), size: source.size.into() };
        writer.record(Section::Sources, &record);
    }
    if config.backstop.kind != BackstopKind::Off {
        for instruction in filter::program() {
            writer.record(Section::Filter, &instruction);
        }
    }
    let mut file = config.log_file.as_os_str().as_encoded_bytes().to_vec();
    file.push(0);
    let log_file = writer.text(&file);
    let sinks = config.sinks.iter().fold(0, |bits, sink| bits | *sink as u32);
    let sinks = sinks | if config.merge { 0 } else { portcullis_policy::format::EVERY_EVENT };
    writer.finish(sinks, config.backstop.number(), log_file)
}
