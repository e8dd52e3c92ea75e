//! Files as editors leave them: other line ends, byte order marks, and bytes that are no UTF-8. A literate case has none of
//! these.

use std::path::Path;

use crate::program::alluvium;

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn run(folder: &Path, line: &str) -> (u8, String) {
    let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let done = alluvium(folder, &args, "");
    (done.exit_code, done.stdout + &done.stderr)
}

#[test]
fn line_ends_of_windows_and_byte_order_marks_are_no_part_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", b"\xef\xbb\xbfname: example\r\nvars:\r\n  n: 1\r\n");
    write(
        folder.path(),
        "models/a.sql",
        b"\xef\xbb\xbf{{ config(\r\n  materialized='table'\r\n) }}\r\n-- a note\r\nselect {{ var('n') }} as id, 'x' as t\r\n",
    );
    write(folder.path(), "models/a.yml", b"models:\r\n  - name: a\r\n    description: |\r\n      two\r\n      lines\r\n    columns:\r\n      - name: id\r\n        data_tests: [unique, not_null]\r\n");
    write(folder.path(), "seeds/s.csv", b"\xef\xbb\xbfid,t\r\n1,\"two\r\nlines\"\r\n");
    let (code, text) = run(folder.path(), "build");
    assert!(code == 0 && text.contains("PASS=4"), "{text}");
    assert_eq!(run(folder.path(), "sql --output json --quiet select(id)from(main.s)").1.matches("[1]").count(), 1);

    write(folder.path(), "models/a.sql", b"{{ config(\r\n  materialized='table'\r\n) }}\r\nselect 1 as id,\r\n  nope\r\n");
    let (code, text) = run(folder.path(), "run");
    assert!(code == 1 && text.contains("--> models/a.sql:5:3\n") && text.contains("\n5 |   nope\n"), "{text}");
    write(folder.path(), "models/a.yml", b"models:\r\n  - name: a\r\n    descripton: x\r\n");
    let (code, text) = run(folder.path(), "parse");
    assert!(code == 2 && text.contains("--> models/a.yml:3:5\n"), "{text}");
}

#[test]
fn a_file_that_is_no_utf8_is_shown_where_it_is_not() {
    for (path, bytes, place) in [
        ("models/b.sql", b"select 1 as id,\n  'caf\xe9' as t\n".as_slice(), "models/b.sql:2:7"),
        ("models/b.yml", b"models:\n  - name: a\n    description: caf\xe9\n", "models/b.yml:3:21"),
        ("models/b.md", b"{% docs x %}\n\xff\n{% enddocs %}\n", "models/b.md:2:1"),
        ("macros/b.sql", b"{# \xe9 #}\n", "macros/b.sql:1:4"),
        ("seeds/s.csv", b"id,t\n1,caf\xe9\n", "seeds/s.csv:2:3"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "project.yml", b"name: example\n");
        write(folder.path(), "models/a.sql", b"select 1 as id\n");
        write(folder.path(), path, bytes);
        let (code, text) = run(folder.path(), "build");
        let seed = path.starts_with("seeds");
        assert_eq!(code, if seed { 1 } else { 2 }, "{text}");
        assert!(text.contains("error[input-file]") && text.contains(&format!("--> {place}\n")) && text.contains("is not UTF-8"), "{text}");
        assert!(text.contains("= help: save the file as UTF-8"), "{text}");
        assert_eq!(folder.path().join("warehouse").exists(), seed, "{text}");
    }
}
