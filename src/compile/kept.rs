//! What of a compiled node its readers need, in a form that is kept between commands.

use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::ipc::convert::{IpcSchemaEncoder, fb_to_schema};
use deltalake::arrow::ipc::root_as_schema;
use serde::{Deserialize, Serialize};

use super::{CompiledNode, NodeFacts};
use crate::base::{Fingerprint, Fingerprinter};
use crate::manifest::Node;

/// The columns of a relation and what is known of its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptNode {
    /// As Arrow's IPC has it.
    schema: Option<Vec<u8>>,
    facts: Option<NodeFacts>,
}

impl KeptNode {
    #[must_use]
    pub fn of(node: &CompiledNode) -> Self {
        Self { schema: node.schema.as_ref().map(kept_schema), facts: node.facts.as_deref().cloned() }
    }

    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.schema.as_deref().and_then(restored_schema)
    }

    /// The node as its readers see it, without its SQL; `None` if the schema can't be read.
    #[must_use]
    pub fn restored(self, node: &Node) -> Option<CompiledNode> {
        let schema = match &self.schema {
            Some(bytes) => Some(restored_schema(bytes)?),
            None => None,
        };
        let mut restored = super::node::without_sql(node, schema);
        restored.facts = self.facts.map(Arc::new);
        Some(restored)
    }
}

#[must_use]
pub fn kept_schema(schema: &SchemaRef) -> Vec<u8> {
    IpcSchemaEncoder::new().schema_to_fb(schema).finished_data().to_vec()
}

#[must_use]
pub fn restored_schema(bytes: &[u8]) -> Option<SchemaRef> {
    root_as_schema(bytes).ok().map(|schema| Arc::new(fb_to_schema(schema)))
}

impl CompiledNode {
    /// Changes where something changes that readers go by.
    #[must_use]
    pub fn fingerprint_for_readers(&self) -> Fingerprint {
        let mut of = Fingerprinter::new("ready");
        of.add(&self.schema.is_some());
        if let Some(schema) = &self.schema {
            of.add(schema.as_ref());
        }
        of.add(&self.query_schema.is_some()).debug(&self.facts).add(&self.body).add(&self.ctes);
        of.finish()
    }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

    use super::*;

    #[test]
    fn a_schema_comes_back_as_it_was() {
        let nested = DataType::Struct(Fields::from(vec![Field::new("a", DataType::Int32, false), Field::new("b", DataType::Utf8, true)]));
        let list = DataType::List(Arc::new(Field::new("element", nested.clone(), true)));
        let fields = [
            DataType::Boolean,
            DataType::Decimal128(38, 10),
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Binary,
            DataType::Null,
            DataType::UInt64,
            nested,
            list,
        ];
        let fields: Vec<Field> = fields.into_iter().enumerate().map(|(at, kind)| Field::new(format!("Column {at}"), kind, at % 2 == 0)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        assert_eq!(restored_schema(&kept_schema(&schema)), Some(schema));
        assert_eq!(restored_schema(b"nothing of that kind"), None);
    }
}
