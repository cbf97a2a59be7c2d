//! What holds for every tool: sound definitions, and no panic on any JSON.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use worker_runner::{Tool, ToolError};

use crate::{arguments::Arguments, builtin_tools, text::HeadTail, text::beginning, text::shown};

fn tools() -> Vec<Arc<dyn Tool>> {
    builtin_tools(PathBuf::from("/nonexistent"))
}

#[test]
fn the_builtin_tools_are_these() {
    let tools = tools();
    let names: Vec<_> = tools
        .iter()
        .map(|it| it.definition().name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "calculate",
            "get_current_time",
            "http_request",
            "shell_exec",
            "read_file",
            "list_dir",
        ]
    );
}

#[test]
fn every_schema_is_a_closed_object_whose_required_names_exist() {
    for tool in tools() {
        let definition = tool.definition();
        let schema = &definition.parameters;
        assert!(!definition.description.is_empty());
        assert_eq!(schema["type"], "object", "{}", definition.name);
        assert_eq!(schema["additionalProperties"], false, "{}", definition.name);
        let properties = schema["properties"].as_object().unwrap();
        for property in properties.values() {
            assert!(property["type"].is_string(), "{}", definition.name);
            assert!(property["description"].is_string(), "{}", definition.name);
        }
        if let Some(required) = schema.get("required") {
            for name in required.as_array().unwrap() {
                assert!(properties.contains_key(name.as_str().unwrap()));
            }
        }
    }
}

#[tokio::test]
async fn every_tool_names_what_is_wrong_with_its_arguments() {
    for tool in tools() {
        let definition = tool.definition();
        let unknown = tool.call(json!({"colour": 1})).await.unwrap_err();
        assert!(matches!(&unknown, ToolError::BadArguments(text) if text.contains("`colour`")));
        let no_object = tool.call(json!([1])).await.unwrap_err();
        assert_eq!(
            no_object.to_string(),
            "bad arguments: the arguments must be a JSON object, not an array"
        );
        for (name, schema) in definition.parameters["properties"].as_object().unwrap() {
            let mut arguments = Map::new();
            for required in definition.parameters["required"]
                .as_array()
                .into_iter()
                .flatten()
            {
                arguments.insert(required.as_str().unwrap().to_owned(), json!("http://x"));
            }
            arguments.insert(name.clone(), json!(true));
            let err = tool
                .call(Value::Object(arguments))
                .await
                .unwrap_err()
                .to_string();
            let type_name = match schema["type"].as_str().unwrap() {
                "integer" => "whole number",
                type_name => type_name,
            };
            assert!(err.contains(&format!("`{name}`")), "{err}");
            assert!(
                err.contains(type_name) && err.contains("not a boolean"),
                "{err}"
            );
        }
        for required in definition.parameters["required"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let err = tool.call(json!({})).await.unwrap_err().to_string();
            let name = required.as_str().unwrap();
            assert_eq!(
                err,
                format!("bad arguments: `{name}` is missing; it must be a string")
            );
        }
    }
}

#[test]
fn arguments_of_null_are_no_arguments() {
    assert!(Arguments::new(Value::Null, &[]).is_ok());
    let mut arguments = Arguments::new(json!({"body": null}), &["body"]).unwrap();
    assert_eq!(arguments.optional_text("body"), Ok(None));
}

#[test]
fn a_shown_text_is_short_and_printable() {
    assert_eq!(shown("a\nb\u{1b}"), "a\\nb\\u{1b}");
    assert_eq!(shown(&"é".repeat(1_000_000)), "é".repeat(200) + "…");
}

#[test]
fn a_cut_leaves_no_torn_character() {
    assert_eq!(beginning("añb".as_bytes(), 2), "a");
    assert_eq!(beginning("añb".as_bytes(), 3), "añ");
    assert_eq!(beginning(b"a\xffb", 3), "a\u{fffd}b");
}

#[test]
fn head_and_tail_keep_both_ends() {
    let mut kept = HeadTail::new(8);
    for byte in b"0123456789" {
        kept.push(&[*byte]);
    }
    assert_eq!(
        kept.into_text(None),
        "0123\n[… 2 of 10 bytes left out …]\n6789"
    );

    let mut exact = HeadTail::new(8);
    exact.push(b"01234567");
    assert_eq!(exact.into_text(None), "01234567");
}

/// Any JSON, a few levels deep, whose objects use the tools' own argument names.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("expression".to_owned()),
        Just("utc_offset".to_owned()),
        Just("path".to_owned()),
        Just("method".to_owned()),
        Just("headers".to_owned()),
        Just("body".to_owned()),
        ".{0,5}",
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_a_tool_panic(arguments in any_json()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for tool in tools() {
                // Neither `url` nor `command` is among the names: nothing is sent or run.
                let _ = tool.call(arguments.clone()).await;
            }
        });
    }

    #[test]
    fn head_and_tail_agree_with_the_whole(
        chunks in prop::collection::vec("[a-zé]{0,9}", 0..20),
        limit in 0_usize..40,
    ) {
        let whole = chunks.concat();
        let mut kept = HeadTail::new(limit);
        for chunk in &chunks {
            kept.push(chunk.as_bytes());
        }
        let text = kept.into_text(None);
        if whole.len() <= limit {
            prop_assert_eq!(text, whole);
        } else {
            let lines: Vec<_> = text.split('\n').collect();
            prop_assert_eq!(lines.len(), 3);
            prop_assert!(whole.starts_with(lines[0]) && whole.ends_with(lines[2]));
            prop_assert!(lines[0].len() + lines[2].len() <= limit);
        }
    }
}

#[test]
fn no_two_tools_share_a_name() {
    let names: HashSet<_> = tools()
        .iter()
        .map(|it| it.definition().name.clone())
        .collect();
    assert_eq!(names.len(), tools().len());
}
