//! docs/fields.csv, which is written from the table of fields.

use portcullis_event::field;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_file_has_the_table() {
    let mut expected = "field,type,source,list\n".to_owned();
    for field in field::ALL {
        let list = if field.is_list { "yes" } else { "no" };
        let _ = writeln!(expected, "{},{},{},{list}", field.name, field.kind.word(), field.source.word());
        assert_eq!(field.pointer, format!("/{}", field.name.replace('.', "/")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fields.csv");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("docs/fields.csv");
    }
    let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == expected);
    assert!(
        is_same,
        "docs/fields.csv is not as the table has it; PORTCULLIS_UPDATE=1 cargo test -p portcullis-event writes it"
    );
}
