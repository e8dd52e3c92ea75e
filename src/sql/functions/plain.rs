//! A scalar function over whole columns, from a name, the types it takes and a Rust function.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use deltalake::arrow::array::ArrayRef;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

/// What it takes to be a function: the same name is the same function.
#[derive(Debug)]
pub(super) struct Plain {
    pub name: &'static str,
    pub signature: Signature,
    /// From the types of the arguments to that of the result.
    pub returns: fn(&[DataType]) -> Result<DataType>,
    /// From columns of one length to a column of that length.
    pub run: fn(&[ArrayRef]) -> Result<ArrayRef>,
}

impl Plain {
    pub(super) fn into_udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(self))
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Plain {}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.returns)(arguments)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        Ok(ColumnarValue::Array((self.run)(&columns)?))
    }
}
