//! The model to the bytes of a compiled policy.

mod filter;
mod scope;
mod vhosts;
mod writer;

use crate::model::Config;
use portcullis_policy::BackstopKind;
use portcullis_policy::format::{Image, Section, Source};
use portcullis_policy::image::BUILD_ID_MAX;
use scope::Scopes;
use writer::Writer;

/// Compiles `config`.
#[must_use]
pub fn compile(config: &Config) -> Vec<u8> {
    compile_by(config, Writer::default())
}

/// Compiles the policy that is part of the library, where each byte counts: what makes a destination ordinary is one clause. No event has
/// it, and who explains a policy compiles one.
#[must_use]
pub fn compile_for_library(config: &Config) -> Vec<u8> {
    compile_by(config, Writer::brief())
}

fn compile_by(config: &Config, mut writer: Writer) -> Vec<u8> {
    let mut scopes = Scopes::default();
    scopes.global(config, &mut writer);
    scopes.strictest(config, &mut writer);
    vhosts::write(config, &mut scopes, &mut writer);
    for source in &config.sources {
        let mut path = source.path.as_os_str().as_encoded_bytes().to_vec();
        path.push(0);
        let record = Source { path: writer.text(&path), mark: source.mark.into(), size: source.size.into() };
        writer.record(Section::Sources, &record);
    }
    for image in &config.images {
        let mut build_id = [0; BUILD_ID_MAX];
        let length = image.build_id.len().min(BUILD_ID_MAX);
        build_id[..length].copy_from_slice(&image.build_id[..length]);
        let record = Image {
            device: image.identity.0.into(),
            inode: image.identity.1.into(),
            build_id,
            length: length as u8,
            kind: image.kind as u8,
            name: writer.text(image.name.as_bytes()),
            clause: writer.clause(&image.origin).into(),
        };
        writer.record(Section::Images, &record);
    }
    if config.backstop.kind != BackstopKind::Off {
        for instruction in filter::program() {
            writer.record(Section::Filter, &instruction);
        }
    }
    let mut file = config.log_file.as_os_str().as_encoded_bytes().to_vec();
    file.push(0);
    let log_file = writer.text(&file);
    let sinks = config.sinks.iter().fold(0, |bits, sink| bits | sink.bit());
    let sinks = sinks | if config.merge { 0 } else { portcullis_policy::format::EVERY_EVENT };
    let sinks = sinks | if config.force.is_some() { portcullis_policy::format::OVERRIDDEN } else { 0 };
    let sinks = sinks | if config.seal { portcullis_policy::format::SEALED } else { 0 };
    writer.finish(sinks, config.backstop.number(), log_file)
}
