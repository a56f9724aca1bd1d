//! Every form, and what is none.

use super::*;

#[test]
fn each_form_is_read() {
    let parse = |text: &str| Moment::parse(text).expect(text);
    let minute = 60 * NS_PER_S;
    assert_eq!(parse("1970-01-01T00:01:00Z"), Moment::Time(minute));
    assert_eq!(
        parse("1970-01-01T02:01:00.5+02:00"),
        Moment::Time(minute + NS_PER_S / 2)
    );
    assert_eq!(parse("-5m"), Moment::Ago(5 * minute));
    assert_eq!(parse("-1h30m"), Moment::Ago(90 * minute));
    assert_eq!(parse("-2d"), Moment::Ago(2 * 24 * 60 * minute));
    assert_eq!(parse("-500ms"), Moment::Ago(NS_PER_S / 2));
    assert_eq!(parse("-1m1s5ms"), Moment::Ago(minute + 1_005_000_000));
    assert_eq!(parse("seq:17"), Moment::Seq(17));
    assert_eq!(parse("#17"), Moment::Seq(17));
    assert_eq!(
        parse("before-upgrade"),
        Moment::Mark("before-upgrade".into())
    );
}

#[test]
fn anything_else_is_refused_with_the_forms() {
    for text in [
        "",
        "-",
        "-5",
        "-5x",
        "-m",
        "-5m1h",
        "-5ms1s",
        "-5sm",
        "-99999999999999d",
        "seq:",
        "seq:-1",
        "seq:+1",
        "#",
        "#x",
        "#99999999999999999999",
        "5m",
        "2026-11-30",
        "1969-12-31T23:59:59Z",
        "a b",
        "a:b",
        "a/b",
        "a@b",
        ".x",
        "größer",
        "a\n",
    ] {
        let error = Moment::parse(text).expect_err(text);
        assert!(error.to_string().contains("seq:N"), "{error}");
    }
}

#[test]
fn a_time_is_written_as_it_is_read() {
    let text = time_text(60 * NS_PER_S + 5);
    assert_eq!(text, "1970-01-01T00:01:00.000000005Z");
    assert_eq!(Moment::parse(&text), Ok(Moment::Time(60 * NS_PER_S + 5)));
    assert!(time_text(u64::MAX).starts_with("2554-"));
}

#[test]
fn a_name_of_a_mark_is_no_other_form() {
    for name in ["a", "_", "seq", "T", "v1.2-rc_3"] {
        check_mark_name(name).expect(name);
        assert_eq!(Moment::parse(name), Ok(Moment::Mark(name.into())));
    }
    for name in [
        "",
        "-5m",
        "#1",
        "seq:1",
        "2026-11-30T06:00:00Z",
        "1",
        &"x".repeat(129),
    ] {
        assert!(check_mark_name(name).is_err(), "{name}");
    }
}
