//! `hash`: Spark's 32-bit Murmur3 over several columns, seed 42, so that keys made by Spark are found again.
//!
//! As in Spark, a NULL leaves the hash as it is, small integers are hashed as `int`, decimals of up to 18 digits as `bigint`,
//! and the last bytes of a text one by one, each as an `int` with its sign.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

const SEED: u32 = 42;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Plain { name: "hash", signature: Signature::variadic_any(Volatility::Immutable), returns: |_| Ok(DataType::Int32), run: hash }.into_udf()]
}

fn hash(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = columns.first().map_or(0, Array::len);
    let mut hashes = vec![SEED; rows];
    for column in columns {
        add(column, &mut hashes)?;
    }
    Ok(Arc::new(hashes.into_iter().map(u32::cast_signed).collect::<Int32Array>()))
}

fn each(column: &ArrayRef, hashes: &mut [u32], of: impl Fn(usize, u32) -> u32) {
    for (row, hash) in hashes.iter_mut().enumerate().filter(|(row, _)| column.is_valid(*row)) {
        *hash = of(row, *hash);
    }
}

fn add(column: &ArrayRef, hashes: &mut [u32]) -> Result<()> {
    match column.data_type() {
        DataType::Null => {}
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            let values = cast(column, &DataType::Int32)?;
            each(column, hashes, |row, hash| int(values.as_primitive::<Int32Type>().value(row), hash));
        }
        DataType::Date32 => each(column, hashes, |row, hash| int(column.as_primitive::<Date32Type>().value(row), hash)),
        // Numbers of rows, which are no larger.
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => {
            let values = cast(column, &DataType::Int64)?;
            each(column, hashes, |row, hash| long(values.as_primitive::<Int64Type>().value(row), hash));
        }
        DataType::Timestamp(..) => {
            let values = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            each(column, hashes, |row, hash| long(values.as_primitive::<TimestampMicrosecondType>().value(row), hash));
        }
        DataType::Float32 => each(column, hashes, |row, hash| {
            let value = column.as_primitive::<Float32Type>().value(row);
            int(if value == 0.0 { 0 } else { value.to_bits().cast_signed() }, hash)
        }),
        DataType::Float64 => each(column, hashes, |row, hash| {
            let value = column.as_primitive::<Float64Type>().value(row);
            long(if value == 0.0 { 0 } else { value.to_bits().cast_signed() }, hash)
        }),
        DataType::Decimal128(precision, _) => {
            let small = *precision <= 18;
            each(column, hashes, |row, hash| {
                let value = column.as_primitive::<Decimal128Type>().value(row);
                match i64::try_from(value) {
                    Ok(value) if small => long(value, hash),
                    _ => bytes(shortest(&value.to_be_bytes()), hash),
                }
            });
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let values = cast(column, &DataType::Utf8)?;
            each(column, hashes, |row, hash| bytes(values.as_string::<i32>().value(row).as_bytes(), hash));
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let values = cast(column, &DataType::Binary)?;
            each(column, hashes, |row, hash| bytes(values.as_binary::<i32>().value(row), hash));
        }
        other => return exec_err!("`hash` takes no values of type {}", type_name(other)),
    }
    Ok(())
}

/// The shortest two's complement form of a number, as Java's `BigInteger.toByteArray` gives it.
fn shortest(bytes: &[u8]) -> &[u8] {
    let spare = |window: &[u8]| matches!(window, [0x00, next] if next & 0x80 == 0) || matches!(window, [0xff, next] if next & 0x80 != 0);
    let skipped = bytes.windows(2).take_while(|window| spare(window)).count();
    bytes.get(skipped..).unwrap_or(bytes)
}

fn int(value: i32, seed: u32) -> u32 {
    finish(mixed(seed, scrambled(value.cast_unsigned())), 4)
}

fn long(value: i64, seed: u32) -> u32 {
    let bytes = value.to_le_bytes();
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    finish(mixed(mixed(seed, scrambled(word(0))), scrambled(word(4))), 8)
}

fn bytes(value: &[u8], seed: u32) -> u32 {
    let words = value.chunks_exact(4);
    let rest = words.remainder();
    let hash = words.fold(seed, |hash, word| mixed(hash, scrambled(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))));
    let hash = rest.iter().fold(hash, |hash, byte| mixed(hash, scrambled(i32::from(byte.cast_signed()).cast_unsigned())));
    finish(hash, u32::try_from(value.len()).unwrap_or(u32::MAX))
}

fn scrambled(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn mixed(hash: u32, word: u32) -> u32 {
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let hash = hash ^ length;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::{SEED, bytes, int, long, shortest};

    /// What Spark's `hash` gives for the same values.
    #[test]
    fn as_spark_hashes() {
        let ints = [1, 0, -1, i32::MAX, i32::MIN].map(|value| int(value, SEED));
        assert_eq!(ints, [0xdea5_78e3, 0x379f_ae8f, 0xa059_0e3d, 0x07fb_67e7, 0x2b1f_0fc6]);
        let longs = [1, 0, -1, i64::MAX, i64::MIN].map(|value| long(value, SEED));
        assert_eq!(longs, [0x99f0_149d, 0x9c67_b85d, 0xc800_8529, 0xa05b_5d7b, 0xcd1e_64fb]);
        let texts = ["hello", "bar", "", "😁", "天地"].map(|value| bytes(value.as_bytes(), SEED));
        assert_eq!(texts, [3_286_402_344, 2_486_176_763, 142_593_372, 885_025_535, 2_395_000_894]);
    }

    #[test]
    fn numbers_lose_what_says_nothing() {
        assert_eq!(shortest(&1_i128.to_be_bytes()), [1]);
        assert_eq!(shortest(&(-1_i128).to_be_bytes()), [0xff]);
        assert_eq!(shortest(&200_i128.to_be_bytes()), [0, 200]);
    }
}
