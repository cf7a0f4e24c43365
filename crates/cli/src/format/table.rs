//! Where each field of an event goes in OCSF and in OpenTelemetry: one row each. docs/mapping.csv is written from here.

use super::checks::{self, Check, Derive};
use portcullis_event::field::{self, Field};

/// Where a field is in a log record of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otel {
    /// The time of the record.
    Time,
    /// Its body.
    Body,
    /// An attribute of the resource.
    Resource(&'static str),
    /// An attribute of the record. Names of the semantic conventions where there is one, otherwise the field's own.
    Attribute(&'static str),
}

/// A field.
pub struct Row {
    pub field: Field,
    /// Where the finding has the value as it is, and which values it takes there. The others stay in `unmapped`.
    pub copy: Option<(&'static str, Check)>,
    /// Where the finding has what is derived from it.
    pub derive: &'static [(&'static str, Derive)],
    pub otel: Otel,
}

macro_rules! rows {
    ($($field:ident => $($path:literal $check:ident)? [$($derived:literal $derive:ident),*] $otel:ident $(($name:literal))?;)*) => {
        pub const ROWS: &[Row] = &[$(Row {
            field: field::$field,
            copy: rows!(@copy $($path $check)?),
            derive: &[$(($derived, checks::$derive)),*],
            otel: rows!(@otel $field $otel $($name)?),
        }),*];
    };
    (@copy) => { None };
    (@copy $path:literal $check:ident) => { Some(($path, checks::$check)) };
    // Its own name.
    (@otel $field:ident Own) => { Otel::Attribute(field::$field.name) };
    (@otel $field:ident $otel:ident $name:literal) => { Otel::$otel($name) };
    (@otel $field:ident $otel:ident) => { Otel::$otel };
}

rows! {
    TIMESTAMP => "metadata.original_time" text ["time" time] Time;
    MESSAGE => "message" text [] Body;
    ECS_VERSION => "metadata.log_version" text [] Own;
    EVENT_ID => "metadata.uid" text ["finding_info.uid" same] Attribute("log.record.uid");
    EVENT_KIND => [] Own;
    EVENT_MODULE => [] Own;
    EVENT_DATASET => "metadata.log_name" text [] Own;
    EVENT_CATEGORY => [] Own;
    EVENT_TYPE => [] Own;
    EVENT_ACTION => "metadata.event_code" text [] Own;
    EVENT_OUTCOME => ["action_id" action, "disposition_id" disposition] Own;
    EVENT_SEVERITY => ["severity_id" severity] Own;
    EVENT_SEQUENCE => "metadata.sequence" integer [] Own;
    RULE_ID => "finding_info.analytic.uid" text [] Attribute("security_rule.uuid");
    RULE_NAME => "finding_info.title" text ["finding_info.analytic.name" same] Attribute("security_rule.name");
    THREAT_FRAMEWORK => [] Own;
    TECHNIQUE_ID => ["finding_info.attacks" attacks] Own;
    TECHNIQUE_SUBTECHNIQUE_ID => ["finding_info.attacks" attacks] Own;
    DESTINATION_IP => "evidences.0.dst_endpoint.ip" address [] Attribute("destination.address");
    DESTINATION_PORT => "evidences.0.dst_endpoint.port" port_of_destination [] Attribute("destination.port");
    DESTINATION_DOMAIN => "evidences.0.dst_endpoint.hostname" text [] Own;
    SERVER_IP => "evidences.0.dst_endpoint.ip" address [] Attribute("server.address");
    SERVER_PORT => "evidences.0.dst_endpoint.port" port_of_server [] Attribute("server.port");
    NETWORK_DIRECTION => ["evidences.0.connection_info.direction_id" direction] Own;
    NETWORK_TRANSPORT => "evidences.0.connection_info.protocol_name" text [] Attribute("network.transport");
    NETWORK_TYPE => ["evidences.0.connection_info.protocol_ver_id" protocol_version] Attribute("network.type");
    PROCESS_PID => "evidences.0.process.pid" integer [] Attribute("process.pid");
    PROCESS_NAME => "evidences.0.process.name" text [] Attribute("process.executable.name");
    PROCESS_EXECUTABLE => "evidences.0.process.path" text [] Attribute("process.executable.path");
    PROCESS_WORKING_DIRECTORY => "evidences.0.process.working_directory" text [] Attribute("process.working_directory");
    PROCESS_ARGS => [] Attribute("process.command_args");
    PROCESS_ARGS_COUNT => [] Attribute("process.args_count");
    PROCESS_COMMAND_LINE => "evidences.0.process.cmd_line" text [] Attribute("process.command_line");
    PARENT_PID => "evidences.0.process.parent_process.pid" integer [] Attribute("process.parent_pid");
    PARENT_NAME => "evidences.0.process.parent_process.name" of_parent [] Own;
    PARENT_EXECUTABLE => "evidences.0.process.parent_process.path" of_parent [] Own;
    PARENT_WORKING_DIRECTORY => "evidences.0.process.parent_process.working_directory" of_parent [] Own;
    PARENT_ARGS => [] Own;
    PARENT_ARGS_COUNT => [] Own;
    PARENT_COMMAND_LINE => "evidences.0.process.parent_process.cmd_line" of_parent [] Own;
    USER_ID => "evidences.0.process.user.uid" text [] Attribute("process.user.id");
    USER_NAME => "evidences.0.process.user.name" text [] Attribute("process.user.name");
    CLIENT_ADDRESS => "evidences.0.src_endpoint.name" text [] Attribute("client.address");
    CLIENT_IP => "evidences.0.src_endpoint.ip" address [] Own;
    HTTP_REQUEST_ID => "evidences.0.http_request.uid" text ["metadata.correlation_uid" same] Own;
    HTTP_REQUEST_METHOD => "evidences.0.http_request.http_method" method [] Attribute("http.request.method");
    URL_ORIGINAL => "evidences.0.url.url_string" text [] Attribute("url.original");
    URL_DOMAIN => "evidences.0.url.hostname" of_url [] Attribute("url.domain");
    HOST_HOSTNAME => "device.hostname" text [] Resource("host.name");
    HOST_OS_TYPE => "device.os.name" of_host ["device.os.type_id" system] Resource("os.type");
    MODE => [] Own;
    ROLE => [] Own;
    CHAIN => [] Own;
    REQUEST_STATE => [] Own;
    REQUEST_SOURCE => [] Own;
    REQUEST_SCRIPT => "evidences.0.file.path" text ["evidences.0.file.name" file_name] Own;
    REQUEST_DOCUMENT_ROOT => [] Own;
    REQUEST_POOL => [] Own;
    REQUEST_PROFILE => [] Own;
    VHOST => "resources.0.name" text [] Own;
    WHY => "finding_info.desc" text [] Own;
    CLAUSE => "policy.name" text [] Own;
    ALSO => ["finding_info.related_analytics" analytics] Own;
    DETAIL => "status_detail" text [] Own;
    UNGUARDED => [] Own;
    UNKNOWN => [] Own;
    LAYER => [] Own;
    CLAUSE_SOURCE => [] Own;
    STREAM => [] Own;
    DROPPED => [] Own;
    MERGED => [] Own;
    SEAL_TREE => [] Own;
    SEAL_PROCESS => [] Own;
    SEAL_INDEX => [] Own;
    SEAL_LOST => [] Own;
    SEAL_DIGEST => [] Own;
    REPEATED => "count" integer [] Own;
    LIKE => [] Own;
}
