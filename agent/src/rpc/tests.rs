use baton_proto::v1;
use prost::Message as _;

use super::refused::shown;
use super::{REPLY_BYTES_MAX, REPLY_BYTES_SPARE, keep_newest};

#[test]
fn records_that_do_not_fit_into_a_message_are_left_out_from_the_oldest_on() {
    let record = |rollout: usize| v1::Record {
        rollout: rollout.to_string(),
        ending: Some(v1::Ending { cause: "x".repeat(1_000_000), ..v1::Ending::default() }),
        ..v1::Record::default()
    };
    let mut records: Vec<_> = (0..9).map(record).collect();
    keep_newest(&mut records, REPLY_BYTES_MAX - REPLY_BYTES_SPARE);
    assert_eq!(records.iter().map(|record| record.rollout.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert!(v1::TestimonyReply { records, ..v1::TestimonyReply::default() }.encoded_len() < REPLY_BYTES_MAX);
}

#[test]
fn a_text_from_the_network_cannot_forge_a_line_of_a_log() {
    assert_eq!(shown("a\nb"), "a\\nb");
    for text in ["x", "\n", "\u{1f}"] {
        assert_eq!(shown(&text.repeat(1_000)).chars().count(), 80);
    }
}
