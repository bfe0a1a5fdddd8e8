//! Rows in the forms that servers take: Loki's push ([`loki`]), Elasticsearch's bulk with ECS names ([`ecs`]),
//! OpenTelemetry's logs and spans ([`otlp`]), syslog ([`syslog`]), and lines of their own ([`lines`]). Which column is
//! called what in which is listed in docs/fields.md.

pub(crate) mod ecs;
mod folded;
mod json;
pub(crate) mod lines;
pub(crate) mod loki;
pub(crate) mod otlp;
mod protobuf;
pub(crate) mod row;
pub(crate) mod syslog;
