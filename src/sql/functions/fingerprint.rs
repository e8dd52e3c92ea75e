//! `farm_fingerprint`: the 64-bit fingerprint of `FarmHash`, as `BigQuery` gives it, so that keys made there are found again. The
//! algorithm is that of Google's `FarmHash` (`farmhashna`), whose results are promised not to change.

#![expect(clippy::many_single_char_names, reason = "the letters are those of the published algorithm")]

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, AsArray, Int64Array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};

use super::plain::Plain;

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

pub(super) fn function() -> Arc<ScalarUDF> {
    let exact = |found: DataType| TypeSignature::Exact(vec![found]);
    let signature = Signature::one_of(vec![exact(DataType::Utf8), exact(DataType::Binary)], Volatility::Immutable);
    Plain { name: "farm_fingerprint", signature, returns: |_| Ok(DataType::Int64), run }.into_udf()
}

fn run(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let bytes = cast(&columns[0], &DataType::Binary)?;
    let found: Int64Array = bytes.as_binary::<i32>().iter().map(|bytes| bytes.map(|bytes| fingerprint(bytes).cast_signed())).collect();
    Ok(Arc::new(found))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, |word| u64::from(u32::from_le_bytes(word)))
}

fn shifted(value: u64) -> u64 {
    value ^ value >> 47
}

fn joined(first: u64, second: u64, factor: u64) -> u64 {
    let once = shifted((first ^ second).wrapping_mul(factor));
    shifted((second ^ once).wrapping_mul(factor)).wrapping_mul(factor)
}

fn fingerprint(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => longer(bytes),
    }
}

fn factor(bytes: &[u8]) -> u64 {
    K2.wrapping_add(bytes.len() as u64 * 2)
}

fn up_to_16(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    match length {
        8.. => {
            let mul = factor(bytes);
            let a = word(bytes, 0).wrapping_add(K2);
            let b = word(bytes, length - 8);
            let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(mul);
            joined(c, d, mul)
        }
        4.. => joined((length as u64).wrapping_add(half(bytes, 0) << 3), half(bytes, length - 4), factor(bytes)),
        1.. => {
            let y = u64::from(bytes[0]) + (u64::from(bytes[length >> 1]) << 8);
            let z = length as u64 + (u64::from(bytes[length - 1]) << 2);
            shifted(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
        }
        0 => K2,
    }
}

/// What the longer forms begin with: the first and last sixteen bytes.
fn ends(bytes: &[u8], first: u64, mul: u64) -> [u64; 3] {
    let length = bytes.len();
    let a = word(bytes, 0).wrapping_mul(first);
    let b = word(bytes, 8);
    let c = word(bytes, length - 8).wrapping_mul(mul);
    let d = word(bytes, length - 16).wrapping_mul(K2);
    let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    [a, y, joined(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul)]
}

fn up_to_32(bytes: &[u8]) -> u64 {
    ends(bytes, K1, factor(bytes))[2]
}

fn up_to_64(bytes: &[u8]) -> u64 {
    let (length, mul) = (bytes.len(), factor(bytes));
    let [a, y, z] = ends(bytes, K2, mul);
    let e = word(bytes, 16).wrapping_mul(mul);
    let f = word(bytes, 24);
    let g = y.wrapping_add(word(bytes, length - 32)).wrapping_mul(mul);
    let h = z.wrapping_add(word(bytes, length - 24)).wrapping_mul(mul);
    joined(
        e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h),
        e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g),
        mul,
    )
}

fn mixed(bytes: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let last = word(bytes, at + 24);
    let a = a.wrapping_add(word(bytes, at));
    let b = b.wrapping_add(a).wrapping_add(last).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(word(bytes, at + 8)).wrapping_add(word(bytes, at + 16));
    (a.wrapping_add(last), b.wrapping_add(a.rotate_right(44)).wrapping_add(c))
}

fn longer(bytes: &[u8]) -> u64 {
    let rest = (bytes.len() - 1) % 64;
    let end = bytes.len() - 1 - rest;
    let (mut x, mut y) = (81_u64, 81_u64.wrapping_mul(K1).wrapping_add(113));
    let mut z = shifted(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0_u64, 0_u64), (0_u64, 0_u64));
    x = x.wrapping_mul(K2).wrapping_add(word(bytes, 0));
    for at in (0..end).step_by(64) {
        x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(bytes, at + 8)).rotate_right(37).wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(word(bytes, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(word(bytes, at + 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = mixed(bytes, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = mixed(bytes, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(bytes, at + 16)));
        std::mem::swap(&mut z, &mut x);
    }
    let mul = K1.wrapping_add((z & 0xff) << 1);
    let at = bytes.len() - 64;
    w.0 = w.0.wrapping_add(rest as u64);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(bytes, at + 8)).rotate_right(37).wrapping_mul(mul);
    y = y.wrapping_add(v.1).wrapping_add(word(bytes, at + 48)).rotate_right(42).wrapping_mul(mul);
    x ^= w.1.wrapping_mul(9);
    y = y.wrapping_add(v.0.wrapping_mul(9)).wrapping_add(word(bytes, at + 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(mul);
    v = mixed(bytes, at, v.1.wrapping_mul(mul), x.wrapping_add(w.0));
    w = mixed(bytes, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(bytes, at + 16)));
    std::mem::swap(&mut z, &mut x);
    joined(joined(v.0, w.0, mul).wrapping_add(shifted(y).wrapping_mul(K0)).wrapping_add(z), joined(v.1, w.1, mul).wrapping_add(x), mul)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    /// What Google's library gives; that of `1footrue` stands in `BigQuery`'s documentation.
    #[test]
    fn as_the_library_has_it() {
        let sixteen = "0123456789abcdef";
        for (text, wanted) in [
            (String::new(), -7_286_425_919_675_154_353),
            ("a".into(), -5_528_939_962_900_187_677),
            ("abcd".into(), 1_897_425_971_756_105_985),
            ("foo".into(), 6_150_913_649_986_995_171),
            ("1footrue".into(), -1_541_654_101_129_638_711),
            ("x".repeat(16), 3_320_895_591_121_647_644),
            ("0123456789abcdefg".into(), -6_422_696_535_518_490_038),
            (sixteen.repeat(2), 1_958_373_538_681_310_840),
            (sixteen.repeat(2) + "0", 4_799_579_869_226_630_476),
            (sixteen.repeat(4), -79_864_054_702_511_872),
            (sixteen.repeat(4) + "g", 1_480_445_891_700_694_070),
            (sixteen.repeat(8), -6_820_113_533_736_367_299),
            (sixteen.repeat(9) + "xyz", 2_439_505_593_258_000_817),
        ] {
            assert_eq!(fingerprint(text.as_bytes()).cast_signed(), wanted, "{text}");
        }
    }
}
