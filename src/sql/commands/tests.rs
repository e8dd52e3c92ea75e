//! Statements are read as what they mean.

use super::{Alteration, Command, Described, MergeAction, Moment, Shown, parse_command};

fn read(sql: &str) -> Command {
    parse_command(sql).unwrap().unwrap()
}

#[test]
fn pieces_of_a_merge_stand_where_they_were_written() {
    let sql = "merge into main.t as o using (select 1 as id) n on o.id = n.id\n when matched and n.id > 0 then update set a = n.a + 1, o.b = 2\n when not matched then insert (id, a) values (n.id, (1)) when not matched by source then delete;";
    let Command::Merge(merge) = read(sql) else { panic!() };
    assert_eq!((&sql[merge.source.clone()], &sql[merge.on.clone()]), ("(select 1 as id)", "o.id = n.id"));
    assert_eq!(&sql[merge.clauses[0].condition.clone().unwrap()], "n.id > 0");
    let MergeAction::Update(set) = &merge.clauses[0].action else { panic!() };
    let set: Vec<_> = set.iter().map(|(name, value)| (name.value.as_str(), &sql[value.clone()])).collect();
    assert_eq!(set, [("a", "n.a + 1"), ("b", "2")]);
    assert_eq!(merge.clauses[2].action, MergeAction::Delete);
}

#[test]
fn statements_are_told_apart() {
    assert_eq!(parse_command("select 1").unwrap(), None);
    assert_eq!(parse_command("show all").unwrap(), None);
    let Command::Describe { what, .. } = read("describe history main.t limit 3") else { panic!() };
    assert_eq!(what, Described::History { limit: Some(3) });
    let Command::Describe { what, table } = read("desc history") else { panic!() };
    assert_eq!((what, table.name.to_string()), (Described::Columns, "history".into()));
    let Command::Restore { to, .. } = read("restore table t to version as of 3") else { panic!() };
    assert_eq!(to, Moment::Version(3));
    let Command::Show(Shown::Columns(table)) = read("show columns in t in s") else { panic!() };
    assert_eq!(table.name.to_string(), "s.t");
    let Command::Alter { change: Alteration::SetProperties(set), .. } = read("alter table t set tblproperties (delta.x = true, 'y' = 'z')") else {
        panic!()
    };
    assert_eq!(set, [("delta.x".to_owned(), "true".to_owned()), ("y".to_owned(), "z".to_owned())]);
    let Command::Vacuum { retain_hours, dry_run, .. } = read("vacuum t retain 0 hours dry run") else { panic!() };
    assert_eq!((retain_hours, dry_run), (Some(0), true));
}

#[test]
fn what_is_missing_is_named_where_it_should_stand() {
    let error = parse_command("vacuum t retain some hours").unwrap_err();
    assert_eq!((error.message.as_str(), error.range.clone()), ("expected a number of hours, found `some`", Some(16..20)));
    let error = parse_command("merge into t using s on t.a = s.a").unwrap_err();
    assert_eq!(error.message, "expected `when matched` or `when not matched`, found the end of the statement");
}
