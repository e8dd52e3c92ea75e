//! `string_agg` of which one query may have several, each in an order of its own: DataFusion's wants its input to come in that
//! order, although it sorts by itself what it collects.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, FieldRef};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::functions_aggregate::string_agg::StringAgg;
use deltalake::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use deltalake::datafusion::logical_expr::utils::AggregateOrderSensitivity;
use deltalake::datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature};

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ListedText {
    inner: StringAgg,
}

impl ListedText {
    pub(super) fn new() -> Self {
        Self { inner: StringAgg::new() }
    }
}

impl AggregateUDFImpl for ListedText {
    fn name(&self) -> &'static str {
        "string_agg"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    /// It makes no use of an order that its input has.
    fn with_beneficial_ordering(self: Arc<Self>, _: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}
