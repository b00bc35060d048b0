//! The lines of the socket.
//!
//! **Invariant:** what comes from the other side is hostile until it has passed here.

use serde_json::{Value, json};

use crate::rollout::Order;
use crate::text::plain;

/// An order as a line.
pub(super) fn request(order: Order) -> String {
    line(&json!({"order": word(order)}))
}

/// The order in a line.
pub(super) fn read_request(text: &str) -> Result<Order, String> {
    let value = object(text)?;
    let told = value.get("order").and_then(Value::as_str).ok_or("it names no order")?;
    [Order::Pause, Order::Resume, Order::Abort]
        .into_iter()
        .find(|order| word(*order) == told)
        .ok_or_else(|| format!("there is no order {:?}", plain(told)))
}

/// An answer as a line: what the rollout does now, or why it did not take the order.
pub(super) fn answer(answer: Result<&str, &str>) -> String {
    line(&match answer {
        Ok(sentence) => json!({"answer": sentence}),
        Err(cause) => json!({"refused": cause}),
    })
}

/// The answer in a line; an error for a line that is none.
pub(super) fn read_answer(text: &str) -> Result<Result<String, String>, String> {
    let value = object(text)?;
    let told = |key: &str| value.get(key).and_then(Value::as_str).map(plain);
    match (told("answer"), told("refused")) {
        (Some(sentence), _) => Ok(Ok(sentence)),
        (None, Some(cause)) => Ok(Err(cause)),
        (None, None) => Err("it is neither an answer nor a refusal".into()),
    }
}

fn object(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn word(order: Order) -> &'static str {
    match order {
        Order::Pause => "pause",
        Order::Resume => "resume",
        Order::Abort => "abort",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{answer, read_answer, read_request, request};
    use crate::rollout::Order;

    #[test]
    fn what_is_said_is_understood() {
        for order in [Order::Pause, Order::Resume, Order::Abort] {
            assert_eq!(read_request(&request(order)), Ok(order));
        }
        assert_eq!(request(Order::Pause), "{\"order\":\"pause\"}\n");
        assert_eq!(read_answer(&answer(Ok("paused"))), Ok(Ok("paused".into())));
        assert_eq!(read_answer(&answer(Err("no"))), Ok(Err("no".into())));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "{", "[]", "{}", "null", r#"{"order": 7}"#, r#"{"order": "reboot"}"#] {
            assert!(read_request(text).is_err(), "{text}");
            assert!(read_answer(text).is_err(), "{text}");
        }
        assert_eq!(read_request("{\"order\":\"\\u001b[2J\"}"), Err("there is no order \"[2J\"".into()));
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_makes_us_panic(text in ".*") {
            let _ = (read_request(&text), read_answer(&text));
        }
    }
}
