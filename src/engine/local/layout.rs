//! Names of schemas and tables as folder names, and back. A name never reaches outside of its folder, and never
//! looks like a log or one of Alluvium's own folders.

use std::fmt::Write as _;

use super::super::EngineError;

/// The folder for databases that the target does not name.
pub(super) const DATABASES: &str = "_db";
pub(super) const LOG: &str = "_delta_log";
/// What file systems allow for one part of a path, less room for what is written beside.
const LONGEST: usize = 240;

/// The folder name of a schema or table: letters of ASCII, digits, `_`, `-` and inner `.` stand as they are, every
/// other byte is `+` and two hexadecimal digits.
///
/// # Errors
/// If the name is empty or longer than a folder's name may be.
pub(super) fn encode(name: &str) -> Result<String, EngineError> {
    if name.is_empty() {
        return Err(EngineError::Unsupported {
            message: "a name of a relation is empty".into(),
            help: Some("give the schema and the table a name".into()),
        });
    }
    let reserved = name.eq_ignore_ascii_case(DATABASES) || name.eq_ignore_ascii_case(LOG);
    let mut folder = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' && !(reserved && at == 0) || byte == b'.' && at > 0;
        if plain {
            folder.push(char::from(byte));
        } else {
            let _ = write!(folder, "+{byte:02X}");
        }
    }
    if folder.len() > LONGEST {
        return Err(EngineError::Unsupported {
            message: format!("the name `{name}` is too long for a folder"),
            help: Some(format!("names may have {LONGEST} letters")),
        });
    }
    Ok(folder)
}

/// The name that a folder stands for; `None` for folders that [`encode`] does not make.
pub(super) fn decode(folder: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'+' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode(&name).ok()? == folder).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn odd_names_stay_in_their_folder_and_come_back() {
        for (name, folder) in [
            ("orders", "orders"),
            ("Mixed_Case-1.v2", "Mixed_Case-1.v2"),
            ("a b", "a+20b"),
            ("..", "+2E."),
            ("../up", "+2E.+2Fup"),
            ("a/b", "a+2Fb"),
            ("a+b", "a+2Bb"),
            ("_delta_log", "+5Fdelta_log"),
            ("_db", "+5Fdb"),
            ("_alluvium", "_alluvium"),
            ("größe", "gr+C3+B6+C3+9Fe"),
        ] {
            assert_eq!(encode(name).unwrap(), folder);
            assert_eq!(decode(folder).as_deref(), Some(name));
        }
        assert!(encode("").is_err());
        assert!(encode(&"x".repeat(300)).is_err());
        assert_eq!(decode("_delta_log"), None);
        assert_eq!(decode("a+2"), None);
    }
}
