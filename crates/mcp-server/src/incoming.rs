//! What a client sends, checked: a message, or the error that answers what is none.

use rmcp::{
    ErrorData,
    model::{ClientJsonRpcMessage, RequestId},
};
use serde_json::{Map, Value};

/// Why a text is no message.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    /// What answers it.
    pub(crate) error: ErrorData,
    /// Which request it was, where that could be read.
    pub(crate) id: Option<RequestId>,
}

/// Reads one message.
///
/// # Errors
/// `None` for what is never answered: a notification or a response that is not in order.
pub(crate) fn read(text: &[u8]) -> Result<ClientJsonRpcMessage, Option<Refused>> {
    let refused = |error| Some(Refused { error, id: None });
    // First as any JSON, as what is wrong with a message says whether it is answered, and how.
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        let message = format!("the message is not JSON: {error}");
        refused(ErrorData::parse_error(message, None))
    })?;
    let fields = match &value {
        Value::Object(fields) => fields,
        Value::Array(_) => {
            let message = "batches are not part of the protocol; send one message at a time";
            return Err(refused(ErrorData::invalid_request(message, None)));
        }
        _ => {
            let message = "a message is a JSON object";
            return Err(refused(ErrorData::invalid_request(message, None)));
        }
    };
    let id = id_of(fields);
    let problem = problem_of(fields, id.as_ref());
    let is_answered = fields.contains_key("id") && !is_response(fields);
    let is_notification = fields.contains_key("method") && !fields.contains_key("id");
    match problem {
        Some(_) if is_notification => return Err(None),
        Some(problem) => {
            let error = ErrorData::invalid_request(problem, None);
            return Err(Some(Refused { error, id }));
        }
        None => {}
    }
    serde_json::from_value(value).map_err(|error| {
        let error = ErrorData::invalid_request(format!("not a message: {error}"), None);
        is_answered.then_some(Refused { error, id })
    })
}

/// The number or text of a request, which a client may give as it likes, but for fractions.
fn id_of(fields: &Map<String, Value>) -> Option<RequestId> {
    match fields.get("id")? {
        Value::Number(number) => number.as_i64().map(RequestId::Number),
        Value::String(text) => Some(RequestId::String(text.as_str().into())),
        _ => None,
    }
}

fn problem_of(fields: &Map<String, Value>, id: Option<&RequestId>) -> Option<&'static str> {
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Some("`jsonrpc` must be \"2.0\"");
    }
    match fields.get("method") {
        None if is_response(fields) => return None,
        None => return Some("`method` is missing"),
        Some(Value::String(_)) => {}
        Some(_) => return Some("`method` must be a string"),
    }
    if fields.contains_key("id") && id.is_none() {
        return Some("`id` must be a string or a whole number below 2^63");
    }
    match fields.get("params") {
        None | Some(Value::Object(_)) => None,
        Some(_) => Some("`params` must be an object"),
    }
}

fn is_response(fields: &Map<String, Value>) -> bool {
    !fields.contains_key("method")
        && (fields.contains_key("result") || fields.contains_key("error"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::{ErrorCode, RequestId};

    use super::read;

    #[test]
    fn what_is_no_message_is_answered_by_what_is_wrong_with_it() {
        let deep = "[".repeat(100_000);
        let deep_params = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}{}}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        let one = || Some(RequestId::Number(1));
        for (text, code, id) in [
            ("", ErrorCode::PARSE_ERROR, None),
            ("{", ErrorCode::PARSE_ERROR, None),
            ("{} {}", ErrorCode::PARSE_ERROR, None),
            ("\u{feff}", ErrorCode::PARSE_ERROR, None),
            (&*deep, ErrorCode::PARSE_ERROR, None),
            (&*deep_params, ErrorCode::PARSE_ERROR, None),
            ("[]", ErrorCode::INVALID_REQUEST, None),
            ("1", ErrorCode::INVALID_REQUEST, None),
            ("{}", ErrorCode::INVALID_REQUEST, None),
            (
                r#"{"id":1,"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                one(),
            ),
            (
                r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1}"#,
                ErrorCode::INVALID_REQUEST,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
                ErrorCode::INVALID_REQUEST,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
                ErrorCode::INVALID_REQUEST,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#,
                ErrorCode::INVALID_REQUEST,
                None,
            ),
        ] {
            let start = &text[..text.len().min(60)];
            let refused = read(text.as_bytes()).expect_err(start).expect(start);
            assert_eq!(
                (refused.error.code, refused.id),
                (code, id),
                "{start}: {}",
                refused.error.message
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_no_json() {
        let refused = read(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}");
        let refused = refused.unwrap_err().unwrap();
        assert_eq!(
            (refused.error.code, refused.id),
            (ErrorCode::PARSE_ERROR, None)
        );
    }

    #[test]
    fn what_asks_for_no_answer_gets_none() {
        for text in [
            r#"{"jsonrpc":"1.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":3}"#,
        ] {
            assert_eq!(read(text.as_bytes()).expect_err(text), None, "{text}");
        }
        let stray = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
        assert!(!matches!(read(stray.as_bytes()), Err(Some(_))));
    }

    #[test]
    fn a_request_is_read_with_its_id() {
        for (id, expected) in [
            ("7", RequestId::Number(7)),
            ("-1", RequestId::Number(-1)),
            ("\"\"", RequestId::String("".into())),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let (_, read) = read(text.as_bytes()).unwrap().into_request().unwrap();
            assert_eq!(read, expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }
    }
}
